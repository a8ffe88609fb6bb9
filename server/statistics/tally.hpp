#pragma once
/// The numbers that a question is answered with, of a range of slots: what a store counts, whether
/// out of cubes or by other means.

#include "server/statistics/latency.hpp"
#include "server/statistics/packing.hpp"
#include "server/statistics/slots.hpp"

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
    int64_t max_us = 0; ///< 0: none

    bool operator==(const sums&) const = default;
    void add(const sums& others) {
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

/// One state of the counts, for as long as a question is answered.
class tally_source {
public:
  virtual ~tally_source() = default;
  virtual tally count(const tally_query& query) = 0;
};

} // namespace phi::statistics
