#pragma once
/// Whether events of users and cubes say the same of each day, in all that a cube tells apart, in a
/// few numbers a day: sums of hashes, which are the same for the same events in whatever order, and
/// else but by chance (1 in 2^64) not.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube.hpp"
#include "server/statistics/distinct_count.hpp"
#include "server/statistics/inspection.hpp"

#include <array>
#include <limits>
#include <map>
#include <vector>

namespace phi::statistics {

/// What a day is compared by; each in all and for its slots.
enum class aspect : uint8_t {
  events,
  durations,
  bounds, ///< the first and the last event, the shortest and the longest duration
  features,
  actions,
  routes,
  methods,
  statuses,
  combinations, ///< of all these, with their durations
  latencies,
  instances,
};
inline constexpr size_t aspects = 11;

/// What some events add up to, or some cubes. Some 150 bytes a day; of users and addresses all up
/// to 2^18 that are different by day and slot, and then a sample that is the same for the same
/// ones.
class day_digests {
public:
  void add(const counted_event& e);
  /// All parts of it.
  void add(const cube& whole);

  /// For each aspect how many days there are and in how many both are alike, and those that are
  /// not; then how many users and addresses there are. Where values of a day count under
  /// `other_text` in `cubes`, what they are the values of is not compared.
  static std::vector<compared> compare(const day_digests& rows, const day_digests& cubes);

private:
  struct day {
    std::array<uint64_t, aspects> sums{};
    int64_t first_us = std::numeric_limits<int64_t>::max();
    int64_t last_us = std::numeric_limits<int64_t>::min();
    int64_t shortest_us = std::numeric_limits<int64_t>::max();
    int64_t longest_us = -1;
    std::array<bool, dimensions> mixed{}; ///< holds `other_text`, maybe for want of room

    uint64_t& operator[](aspect wanted) { return sums[static_cast<size_t>(wanted)]; }
    uint64_t of_bounds() const;
    bool is_mixed(aspect wanted) const;
    bool is_alike(const day& other, aspect wanted) const;
  };
  struct hashed_key;
  using hashed_texts = std::array<std::vector<uint64_t>, dimensions>;

  static void add_sums(day& to, const hashed_key& key, const count_sums& sums, uint64_t slot);
  void add_counts(day& to, const cube& whole, const hashed_texts& texts);
  void add_people(const cube& whole, const hashed_texts& texts);
  void add_user(int64_t day, uint64_t slot, uint64_t feature, uint64_t kind, uint64_t person);

  static constexpr size_t most_exact = 1 << 18;
  std::map<int64_t, day> days_;
  distinct_count users_{most_exact};  ///< by day and slot
  distinct_count groups_{most_exact}; ///< by feature and kind as well
  distinct_count addresses_{most_exact};
};

} // namespace phi::statistics
