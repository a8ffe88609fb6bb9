#pragma once
/// Adds cubes and single events up to the answer of a question.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube_builder.hpp"
#include "server/statistics/distinct_count.hpp"
#include "server/statistics/tally.hpp"

#include <optional>

namespace phi::statistics {

class tally_builder : public count_reader {
public:
  /// `cap`: of distinct values of a dimension, as of a cube: what is past it counts as
  /// `other_text`.
  explicit tally_builder(tally_query query, size_t cap = most_texts);

  void begin() override { *this = tally_builder{query_, cap_}; }
  slot_range range() const override { return query_.range; }
  std::optional<cube_parts> parts_of(int64_t day) const override;
  void add(const cube& part) override;
  void add(const counted_event& e) override;

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
  /// Own requests have no feature.
  static std::string_view feature_of(std::string_view text) {
    return text == own_feature ? std::string_view{} : text;
  }
  /// `feature`: as cubes have it.
  bool is_wanted(std::string_view feature) const {
    return (feature == own_feature) == query_.own
           && (!query_.feature || *query_.feature == feature_of(feature));
  }

  using distinct_by_text = std::map<std::string, distinct_count, std::less<>>;
  static distinct_count& set_of(distinct_by_text& all, std::string_view text);

  tally_query query_;
  size_t cap_;
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
