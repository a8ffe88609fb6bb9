#pragma once
/// The roll-ups of a batch: what its events add to the counts, by 15-minute UTC slot. The same for
/// every store.

#include "protocol/event.hpp"

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace phi::statistics {

inline constexpr int64_t slot_us = 900'000'000; ///< 15 minutes: every zone in use is a multiple
inline constexpr int64_t slots_per_day = 96;

/// The slot of a time, also before 1970.
constexpr int64_t slot_of(int64_t time_us) {
  return time_us >= 0 ? time_us / slot_us : -((-time_us + slot_us - 1) / slot_us);
}

constexpr int64_t day_of_slot(int64_t slot) {
  return slot >= 0 ? slot / slots_per_day : -((-slot + slots_per_day - 1) / slots_per_day);
}

/// Of a latency that is read out of its bucket.
inline constexpr double relative_error = 0.01;

/// Bucket of a duration in a log-bucket histogram whose values are off by at most 1 %.
int32_t latency_bucket(int64_t duration_us);

/// The value that stands for a bucket, in microseconds.
double latency_of_bucket(int32_t bucket);

/// Which of the 96 slots of a UTC day somebody was active in.
struct day_slots {
  uint64_t low = 0;  ///< slots 0 to 63
  uint64_t high = 0; ///< slots 64 to 95

  void set(int64_t slot_in_day) {
    (slot_in_day < 64 ? low : high) |= uint64_t{1} << (slot_in_day % 64);
  }
};

/// The slots from `first` (of the day) up to and without `last`.
day_slots slots_between(int64_t first, int64_t last);

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

struct count_sums {
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

  rollup_table<count_sums> counts;   ///< slot, status class; feature, action, route, method
  rollup_table<int64_t> statuses;    ///< slot, status; feature
  rollup_table<int64_t> instances;   ///< slot; feature, instance
  rollup_table<int64_t> latencies;   ///< slot, bucket; feature, route, method
  rollup_table<day_slots> users;     ///< day; feature, user hash, user kind
  rollup_table<day_slots> addresses; ///< day; address hash
};

} // namespace phi::statistics
