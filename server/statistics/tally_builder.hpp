#pragma once
/// Adds cubes and single events up to the answer of a question.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube_builder.hpp"
#include "server/statistics/distinct_count.hpp"
#include "server/statistics/tally.hpp"

#include <optional>

namespace phi::statistics {

class tally_builder {
public:
  /// `cap`: of distinct values of a dimension, as of a cube: what is past it counts as
  /// `other_text`.
  explicit tally_builder(tally_query query, size_t cap = most_texts);

  /// The parts of cubes of this day that it reads; nothing: the day is not in its range.
  std::optional<cube_parts> parts_of(int64_t day) const;

  /// A cube with the parts that are wanted of its day.
  void add(const cube& part);
  void add(const counted_event& e);

  tally take();

private:
  void add_counts(const cube& part);
  void add_latencies(const cube& part);
  void add_instances(const cube& part);
  bool needs_groups(int64_t day) const;
  void add_users(const cube& part);
  void add_addresses(const cube& part);
  void add_user(std::string_view feature, std::string_view kind, uint64_t person);
  uint32_t number(dimension kind, std::string_view text);
  tally::sums& sums_of(const combination& key);
  void add_span(uint32_t feature, int64_t first_us, int64_t last_us);
  bool is_wanted(std::string_view feature) const {
    return !query_.feature || *query_.feature == feature;
  }

  using distinct_by_text = std::map<std::string, distinct_count, std::less<>>;
  static distinct_count& set_of(distinct_by_text& all, std::string_view text);

  tally_query query_;
  tally made_;
  std::vector<text_numbers> texts_; ///< of features, actions, routes and methods
  key_numbers<combination> combinations_;
  std::vector<tally::sums> sums_;                 ///< of each combination
  std::vector<std::optional<tally::span>> spans_; ///< of each feature
  distinct_count users_;
  distinct_by_text users_by_kind_;
  distinct_by_text users_by_feature_;
  distinct_count addresses_;
};

} // namespace phi::statistics
