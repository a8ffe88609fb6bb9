#pragma once
/// Adds cubes and single events up to the answer of a question.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube_builder.hpp"
#include "server/statistics/distinct_count.hpp"
#include "server/statistics/tally.hpp"

#include <optional>

namespace phi::statistics {

/// What an answer takes of memory, however many events and values there are. Smaller ones are for
/// tests.
struct tally_limits {
  /// Distinct values of a dimension, as of a cube: what is past it counts as `other_text`.
  size_t texts = most_texts;
  /// Those of feature, action, route and method that come together; past it all but the feature
  /// counts as `other_text`.
  size_t combinations = 1 << 16;
  /// Persons that are held in all groups together, by feature and by kind: past it the largest
  /// groups are estimated, see `distinct_count`.
  size_t grouped_persons = 1 << 20;
};

class tally_builder : public count_reader {
public:
  explicit tally_builder(tally_query query, const tally_limits& limits = {});

  void begin() override { *this = tally_builder{query_, limits_}; }
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
  tally::sums& sums_of(combination key);
  void add_instance(std::string_view instance, uint64_t events);
  void add_person(distinct_count& group, uint64_t person);
  void halve_largest_group();
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

  using groups = std::vector<distinct_count>; ///< by the number of their text
  static distinct_count& group_of(groups& all, uint32_t text);

  tally_query query_;
  tally_limits limits_;
  tally made_;
  std::vector<text_numbers> texts_; ///< by dimension
  key_numbers<combination> combinations_;
  std::vector<tally::sums> sums_;                 ///< of each combination
  std::vector<std::optional<tally::span>> spans_; ///< of each feature
  std::vector<uint64_t> instances_;               ///< events of each
  distinct_count users_;
  groups users_by_kind_;
  groups users_by_feature_;
  size_t grouped_persons_ = 0; ///< that are held in all groups
  distinct_count addresses_;
};

} // namespace phi::statistics
