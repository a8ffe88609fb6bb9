#pragma once
/// Counts of many buckets of time at once, of some of the events, told apart by what they have.

#include "server/statistics/cube_builder.hpp"
#include "server/statistics/distinct_count.hpp"
#include "server/statistics/group_counts.hpp"
#include "server/statistics/tally.hpp"

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace phi::statistics {

/// What events can be told apart by, and chosen by.
enum class attribute : uint8_t {
  feature,
  action,
  route,
  method,
  status,       ///< "404"
  status_class, ///< "4xx"
  instance,
  user_kind,
};
inline constexpr size_t attributes = 8;
/// In its order: of the parameters that choose by them, too.
inline constexpr std::array<std::string_view, attributes> attribute_names{
  "feature", "action", "route", "method", "status", "class", "instance", "user_kind"};

/// Some of them, a bit each.
using attribute_set = uint16_t;
constexpr attribute_set set_of(attribute kind) {
  return static_cast<attribute_set>(1U << static_cast<unsigned>(kind));
}

/// What can be counted.
enum class measure : uint8_t {
  events,
  details,   ///< errors by class; average, minimum and maximum of durations
  durations, ///< their histogram
  users,
  addresses,
};
inline constexpr size_t measures = 5;

/// What cubes tell of a measure: by these attributes and no others, for they keep no table with
/// all of them.
constexpr bool can_tell(measure wanted, attribute_set by) {
  constexpr auto f = set_of(attribute::feature);
  constexpr attribute_set route = f | set_of(attribute::route) | set_of(attribute::method);
  constexpr attribute_set request =
    route | set_of(attribute::action) | set_of(attribute::status) | set_of(attribute::status_class);
  auto within = [&](attribute_set table) { return (by & ~table) == 0; };
  switch (wanted) {
    case measure::events: return within(request) || within(f | set_of(attribute::instance));
    case measure::details: return within(request);
    case measure::durations: return within(route);
    case measure::users: return within(f | set_of(attribute::user_kind));
    case measure::addresses: return by == 0;
  }
  return false;
}

/// The values of the attributes in `grouped_query::by`, in its order; empty: none.
using group_key = std::vector<std::string>;

struct grouped_query {
  static constexpr size_t most_by = 3;

  std::vector<slot_range> buckets; ///< ascending, none over another; some may be empty
  std::vector<attribute> by;       ///< up to `most_by`
  /// By attribute: only events with one of these values; without any, with whatever value.
  std::array<std::set<std::string, std::less<>>, attributes> only;
  bool own = false;                    ///< of the service's own requests, and nobody else's events
  std::array<bool, measures> wanted{}; ///< by `measure`; each must be one that cubes can tell
  /// The keys to tell apart; all others add up under `other_text`. Nothing: all.
  std::optional<std::set<group_key>> keep;

  grouped_query& want(measure kind) {
    wanted[static_cast<size_t>(kind)] = true;
    return *this;
  }
  grouped_query& choose(attribute kind, std::string value) {
    only[static_cast<size_t>(kind)].insert(std::move(value));
    return *this;
  }
  bool wants(measure kind) const { return wanted[static_cast<size_t>(kind)]; }
  /// Those that it tells events apart by, and those that it chooses by.
  attribute_set used() const;
};

/// What counting takes of memory at a time, however many events there are. Where several buckets
/// would take more, fewer are counted at once. Smaller ones are for tests.
struct group_limits {
  /// Of all buckets together: a group in a bucket is one, and may have a histogram.
  size_t cells = 1 << 14;
  /// Of one bucket, where the query does not say which to tell apart: past it the others count as
  /// `other_text` in all that they are told apart by.
  size_t groups = 1 << 16;
  /// Users and addresses that are held in all cells together: past it, in one bucket, the largest
  /// sets are estimated, see `distinct_count`. Those of one cell are exact as ever.
  size_t persons = 1 << 21;
};

/// The groups that have something in a bucket.
using groups_of_bucket = std::map<group_key, group_counts>;
/// For each bucket.
using grouped_counts = std::vector<groups_of_bucket>;

/// Calls `take` with each bucket, in order, by its number in the query: whoever keeps only a part
/// of each never has the groups of all in memory.
void count_each(tally_source& counts, const grouped_query& query,
                const std::function<void(size_t bucket, groups_of_bucket groups)>& take,
                const group_limits& limits = {});

grouped_counts count_groups(tally_source& counts, const grouped_query& query,
                            const group_limits& limits = {});

/// The same for each of several: what is counted is read once, but for those with so many cells
/// that they are counted a part of the buckets at a time.
std::vector<grouped_counts> count_groups(tally_source& counts,
                                         const std::vector<grouped_query>& queries);

struct group_values {
  std::array<uint32_t, grouped_query::most_by> numbers{};
  bool operator==(const group_values&) const = default;
};

/// Adds up cubes and single events for one question.
class group_builder : public count_reader {
public:
  /// `query` must outlive it.
  explicit group_builder(const grouped_query& query, const group_limits& limits = {});

  void begin() override;
  slot_range range() const override;
  std::optional<cube_parts> parts_of(int64_t day) const override;
  void add(const cube& part) override;
  void add(const counted_event& e) override;

  /// It has more than it may hold of several buckets, and takes nothing more: fewer are to be
  /// counted at once.
  bool is_full() const {
    return query_.buckets.size() > 1 && (cells_.size() > limits_.cells || held_ > limits_.persons);
  }
  /// So little that twice as many buckets may fit.
  bool has_room_for_twice() const {
    return 2 * cells_.size() <= limits_.cells && 2 * held_ <= limits_.persons;
  }
  size_t held_persons() const { return held_; }

  grouped_counts take();

private:
  /// The bucket of each slot of a UTC day; -1: none.
  struct day_buckets {
    std::array<int32_t, slots_per_day> of_slot{};
    bool whole = false; ///< all are the same one
    bool none = true;
  };
  struct cell {
    group_counts counts;
    distinct_count users;
    distinct_count addresses;
  };
  class cube_row;
  class event_row;

  int32_t bucket_of(int64_t slot) const;
  day_buckets buckets_of(int64_t day) const;
  bool by_instance() const;
  bool needs_groups_of_users(const day_buckets& slots) const;
  /// Of a feature: also whether it is whose events are asked for.
  bool matches(attribute kind, std::string_view text) const;
  uint32_t number(size_t position, std::string_view text);
  uint32_t group(const group_values& values);
  template <class Row>
  std::optional<uint32_t> group_of(Row& row);
  cell& cell_of(int32_t bucket, uint32_t group);
  void add_person(distinct_count& to, uint64_t person);
  void halve_largest_set();
  void add_counts(const cube& part, const day_buckets& slots, cube_row& row);
  void add_instances(const cube& part, const day_buckets& slots, cube_row& row);
  void add_durations(const cube& part, const day_buckets& slots, cube_row& row);
  void add_users(const cube& part, const day_buckets& slots, cube_row& row);
  void add_addresses(const cube& part, const day_buckets& slots);

  const grouped_query& query_;
  group_limits limits_;
  std::vector<attribute> filtered_;
  std::vector<text_numbers> texts_; ///< by position in `by`
  key_numbers<group_values> groups_;
  std::vector<uint32_t> counted_as_; ///< of each group: itself, or that of all others
  std::optional<uint32_t> others_;
  std::unordered_map<uint64_t, uint32_t> numbers_; ///< of cells, by bucket and group
  std::deque<cell> cells_;
  size_t held_ = 0; ///< users and addresses in all cells
  uint64_t last_key_ = 0;
  cell* last_ = nullptr;
};

template <>
size_t key_numbers<group_values>::hash::operator()(const group_values& key) const noexcept;

} // namespace phi::statistics
