#pragma once
/// IANA time zones, from the system's tzdata.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// The day that the clocks of a zone show at a time. Throws as above.
int32_t day_in_zone_at(const std::string& zone, int64_t time_us);

/// Into what a range of time is cut.
enum class interval : uint8_t { hour, day, week, month };

/// "hour", "day", "week", "month"; nothing for any other text.
std::optional<interval> interval_of(std::string_view name);

struct time_bucket {
  /// Of a day its date, of a week that of its Monday, of a month that of its first day; of an hour
  /// when it begins, with the offset, which tells the two hours of one name apart.
  std::string label;
  time_range range;
};

/// Each day from `first` to `last`, also one that a zone skipped: its range is empty. Throws as
/// above.
std::vector<time_bucket> days_in_zone(const std::string& zone, int32_t first, int32_t last);

/// The hours, days, weeks or months of a zone that a range touches, in order: each but for what of
/// it is outside. A day has 23 hours, or 25, when the clocks are moved by one. Throws
/// std::runtime_error for a zone that does not exist.
std::vector<time_bucket> buckets_in_zone(const std::string& zone, interval by, time_range range);

} // namespace phi
