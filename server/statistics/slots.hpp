#pragma once
/// Slots: the quarters of an hour of UTC by which everything is counted. Every zone in use differs
/// from UTC by a multiple of one.

#include <algorithm>
#include <bit>
#include <cstdint>

namespace phi::statistics {

inline constexpr int64_t slot_us = 900'000'000; ///< 15 minutes
inline constexpr int64_t slots_per_day = 96;

/// The slot of a time, also before 1970.
constexpr int64_t slot_of(int64_t time_us) {
  return time_us >= 0 ? time_us / slot_us : -((-(time_us + 1)) / slot_us) - 1;
}

/// The UTC day of a slot: days since 1970-01-01.
constexpr int64_t day_of_slot(int64_t slot) {
  return slot >= 0 ? slot / slots_per_day : -((-(slot + 1)) / slots_per_day) - 1;
}

/// Slots of UTC, half-open.
struct slot_range {
  int64_t begin = 0;
  int64_t end = 0;

  constexpr bool empty() const { return begin >= end; }
  constexpr bool contains(int64_t slot) const { return slot >= begin && slot < end; }
  constexpr bool contains_day(int64_t day) const {
    return begin <= day * slots_per_day && end >= (day + 1) * slots_per_day;
  }
};

/// Which of the 96 slots of a UTC day somebody was active in.
struct day_slots {
  uint64_t low = 0;  ///< slots 0 to 63
  uint64_t high = 0; ///< slots 64 to 95

  bool operator==(const day_slots&) const = default;

  constexpr void set(int64_t slot_in_day) {
    (slot_in_day < 64 ? low : high) |= uint64_t{1} << (slot_in_day % 64);
  }
  constexpr bool test(int64_t slot_in_day) const {
    return ((slot_in_day < 64 ? low : high) >> (slot_in_day % 64) & 1) != 0;
  }
  constexpr void add(const day_slots& others) {
    low |= others.low;
    high |= others.high;
  }
  constexpr bool overlaps(const day_slots& others) const {
    return ((low & others.low) | (high & others.high)) != 0;
  }
  constexpr int count() const { return std::popcount(low) + std::popcount(high); }
};

/// The slots from `first` (of the day) up to and without `last`.
constexpr day_slots slots_between(int64_t first, int64_t last) {
  day_slots out;
  for (auto slot = std::max<int64_t>(first, 0); slot < std::min(last, slots_per_day); ++slot)
    out.set(slot);
  return out;
}

} // namespace phi::statistics
