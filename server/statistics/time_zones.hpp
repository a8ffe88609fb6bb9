#pragma once
/// IANA time zones, from the system's tzdata.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace phi {

/// A half-open range of microseconds since 1970-01-01 UTC.
struct time_range {
  int64_t begin_us = 0;
  int64_t end_us = 0;
};

/// Whether there is such a zone.
bool is_time_zone(const std::string& name);

/// The zone whose name is most like `name`; empty when none is close.
std::string closest_time_zone(const std::string& name);

/// The day `day` (days since 1970-01-01) as the clocks of `zone` showed it: 24 hours, or 23 or 25
/// when they were moved. Throws std::runtime_error for a zone that does not exist.
time_range day_in_zone(const std::string& zone, int32_t day);

} // namespace phi
