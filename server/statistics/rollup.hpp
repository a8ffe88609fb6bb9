#pragma once
/// The roll-ups of a batch: what its events add to the counts, by 15-minute UTC slot. The same for
/// every store.

#include "protocol/event.hpp"
#include "server/statistics/slots.hpp"

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace phi::statistics {

/// What a key is made of. Which texts are used depends on the table; the views are into the events.
struct rollup_key {
  int64_t slot = 0; ///< a slot, or a UTC day
  int64_t number = 0;
  std::string_view a, b, c, d;

  bool operator==(const rollup_key&) const = default;
};

struct rollup_key_hash {
  size_t operator()(const rollup_key& key) const noexcept;
};

struct rollup_sums {
  int64_t n = 0;
  int64_t errors = 0; ///< status >= 400
  int64_t first_us = 0;
  int64_t last_us = 0;
  int64_t timed = 0; ///< events that have a duration
  int64_t sum_us = 0;
  int64_t min_us = 0;
  int64_t max_us = 0;
};

template <class Sums>
using rollup_table = std::unordered_map<rollup_key, Sums, rollup_key_hash>;

/// Sums of one batch. Holds views: the events must outlive it.
class rollup {
public:
  void add(const event& e);
  void clear();

  rollup_table<rollup_sums> counts;  ///< slot, status class; feature, action, route, method
  rollup_table<int64_t> statuses;    ///< slot, status; feature
  rollup_table<int64_t> instances;   ///< slot; feature, instance
  rollup_table<int64_t> latencies;   ///< slot, bucket; feature, route, method
  rollup_table<day_slots> users;     ///< day; feature, user hash, user kind
  rollup_table<day_slots> addresses; ///< day; address hash
};

} // namespace phi::statistics
