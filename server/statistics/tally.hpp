#pragma once
/// The numbers that a question is answered with, of a range of slots: what a store counts, whether
/// out of cubes or by other means.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube.hpp"
#include "server/statistics/latency.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace phi::statistics {

/// What is wanted beside the counts of events, which are always there.
struct tally_parts {
  bool latency = false;
  bool statuses = false;
  bool instances = false;
  bool users = false; ///< in all
  bool users_by_kind = false;
  bool users_by_feature = false;
  bool addresses = false;
};

struct tally_query {
  slot_range range;
  std::optional<std::string> feature; ///< only this one; of addresses: all the same
  tally_parts wanted;
  bool own = false; ///< of the service's own requests, and nobody else's events
};

struct tally {
  /// An empty text: none.
  struct key {
    std::string feature, action, route, method;
    auto operator<=>(const key&) const = default;
  };
  struct sums {
    uint64_t n = 0;
    uint64_t errors = 0; ///< status >= 400
    uint64_t timed = 0;  ///< those that have a duration
    uint128 sum_us = 0;
    int64_t min_us = 0; ///< with `timed` 0 it says nothing
    int64_t max_us = 0; ///< 0: none

    bool operator==(const sums&) const = default;
    void add(const sums& others) {
      if (others.timed > 0)
        min_us = timed > 0 ? std::min(min_us, others.min_us) : others.min_us;
      n += others.n;
      errors += others.errors;
      timed += others.timed;
      sum_us += others.sum_us;
      max_us = std::max(max_us, others.max_us);
    }
  };
  /// In microseconds since 1970.
  struct span {
    int64_t first_us = 0, last_us = 0;
    bool operator==(const span&) const = default;
  };

  std::map<key, sums> counts;
  std::map<std::string, span> spans; ///< by feature, also of events without one
  std::map<int32_t, uint64_t> statuses;
  std::map<std::string, uint64_t> instances;
  std::map<int32_t, uint64_t> latencies; ///< by `latency_bucket`
  uint64_t users = 0;
  std::map<std::string, uint64_t> users_by_kind;
  std::map<std::string, uint64_t> users_by_feature;
  uint64_t addresses = 0;

  bool operator==(const tally&) const = default;

  /// Of all combinations.
  sums total() const {
    sums out;
    for (const auto& [combination, some] : counts)
      out.add(some);
    return out;
  }
};

/// Takes what was counted, and adds it up to what is wanted.
class count_reader {
public:
  virtual ~count_reader() = default;
  /// What was taken so far is forgotten.
  virtual void begin() = 0;
  /// What is outside may be left out.
  virtual slot_range range() const = 0;
  /// The parts of cubes of this UTC day that it reads; nothing: none.
  virtual std::optional<cube_parts> parts_of(int64_t day) const = 0;
  /// A cube with these parts, and perhaps more.
  virtual void add(const cube& part) = 0;
  virtual void add(const counted_event& e) = 0;
};

/// One state of the counts, for as long as a question is answered.
class tally_source {
public:
  virtual ~tally_source() = default;
  /// Each event in the range of `reader` exactly once, in a cube or alone. It begins again where
  /// something has to be read anew.
  virtual void read(count_reader& reader) = 0;

  tally count(const tally_query& query);
};

} // namespace phi::statistics
