#pragma once
/// A cube: what the events of one UTC day add up to, or a part of them. All cubes of a day together
/// are its counts, in whatever order and however often they were merged.
///
/// This is the form in which it is read: flat tables, sorted by their keys. `cube_builder` makes
/// cubes, `cube_format` writes and reads them, `tally` adds them up.

#include "server/statistics/packing.hpp"
#include "server/statistics/slots.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phi::statistics {

/// What events are told apart by. Texts of each are numbered from 0 on.
enum class dimension : uint8_t { feature, action, route, method, instance, user_kind };
inline constexpr size_t dimensions = 6;

/// Sums of events.
struct count_sums {
  uint64_t n = 0;
  uint64_t timed = 0; ///< those that have a duration
  uint128 sum_us = 0; ///< of durations
  int64_t min_us = 0; ///< with `timed` 0 it says nothing
  int64_t max_us = 0; ///< with `timed` 0 it says nothing

  bool operator==(const count_sums&) const = default;

  void add(const count_sums& others) {
    if (others.timed > 0) {
      min_us = timed > 0 ? std::min(min_us, others.min_us) : others.min_us;
      max_us = timed > 0 ? std::max(max_us, others.max_us) : others.max_us;
    }
    n += others.n;
    timed += others.timed;
    sum_us += others.sum_us;
  }
};

/// Events that are alike but for their time and duration.
struct combination {
  uint32_t feature = 0, action = 0, route = 0, method = 0; ///< texts of those dimensions
  int32_t status = 0;                                      ///< 0: none

  bool operator==(const combination&) const = default;
};

/// Whose durations are in a histogram.
struct timed_route {
  uint32_t feature = 0, route = 0, method = 0;

  bool operator==(const timed_route&) const = default;
};

struct user_group {
  uint32_t feature = 0, kind = 0;

  bool operator==(const user_group&) const = default;
};

/// Parts of a cube that a question can do without.
enum class cube_part : uint8_t {
  counts_by_slot = 1,
  latency_by_day = 2,
  latency_by_slot = 4,
  instances = 8,
  users = 16, ///< with `persons`
  addresses = 32,
  persons = 64, ///< all users of the day, in whatever group and slot
};
using cube_parts = uint8_t; ///< some of them, added up
inline constexpr cube_parts all_cube_parts = 127;
constexpr cube_parts operator|(cube_part a, cube_part b) {
  return static_cast<cube_parts>(a) | static_cast<cube_parts>(b);
}
constexpr cube_parts operator|(cube_parts a, cube_part b) {
  return a | static_cast<cube_parts>(b);
}
constexpr bool has(cube_parts parts, cube_part part) {
  return (parts & static_cast<cube_parts>(part)) != 0;
}

/// What cubes have as the feature of the service's own requests. Nobody can send it, for no text
/// of an event holds a NUL.
inline constexpr std::string_view own_feature{"\0phi", 4};

/// What a value counts as when its dimension has too many on a day.
inline constexpr std::string_view other_text = "(other)";

struct cube {
  struct cell {
    uint32_t combination = 0;
    uint8_t slot = 0; ///< of the day
    count_sums sums;
  };
  /// When the events of a feature came.
  struct span {
    uint32_t feature = 0;
    uint8_t slot = 0;
    int64_t first_us = 0, last_us = 0; ///< since 1970
  };
  struct day_bucket {
    uint32_t timed_route = 0;
    uint16_t bucket = 0;
    uint64_t n = 0;
  };
  struct slot_bucket {
    uint32_t timed_route = 0;
    uint8_t slot = 0;
    uint16_t bucket = 0;
    uint64_t n = 0;
  };
  struct instance_count {
    uint32_t feature = 0, instance = 0;
    uint8_t slot = 0;
    uint64_t n = 0;
  };
  struct user {
    uint32_t group = 0;
    uint32_t person = 0; ///< its place in `persons`
    day_slots active;
  };
  struct address {
    uint64_t hash = 0;
    day_slots active;
  };

  int32_t day = 0;                   ///< since 1970-01-01, UTC
  cube_parts parts = all_cube_parts; ///< those that were read; the others are empty
  uint64_t beyond_cap = 0;           ///< events of users that count under `other_text` in some way
  std::array<std::vector<std::string>, dimensions> texts;

  std::vector<combination> combinations;
  std::vector<count_sums> day_sums; ///< of each combination
  std::vector<span> spans;
  std::vector<cell> cells;

  std::vector<timed_route> timed_routes;
  std::vector<day_bucket> day_buckets;
  std::vector<slot_bucket> slot_buckets;

  std::vector<instance_count> instances;

  std::vector<user_group> user_groups;
  std::vector<uint64_t> persons; ///< hashes of all its users, ascending
  std::vector<user> users;
  std::vector<address> addresses; ///< ascending

  const std::string& text(dimension kind, uint32_t number) const {
    return texts[static_cast<size_t>(kind)][number];
  }
  /// Whether it counts the service's own requests. `feature`: a text of that dimension.
  bool is_own(uint32_t feature) const { return text(dimension::feature, feature) == own_feature; }
  /// The bytes that it takes in memory, about.
  size_t footprint() const;
};

} // namespace phi::statistics
