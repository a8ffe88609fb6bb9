#pragma once
/// What the clocks of a zone show, by the C library: with the service it shares no code.

#include "tests/support/environment.hpp"

#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>

namespace phi::testing {

/// One at a time: it sets the zone of the process.
class local_clock {
public:
  explicit local_clock(const std::string& zone) : zone_("TZ", zone.c_str()) { ::tzset(); }

  std::string date(int64_t time_us) const { return shown(at(time_us), "%F"); }

  /// When a day begins: days since 1970-01-01.
  int64_t begin_of(int32_t day) const {
    constexpr int64_t quarter = 900'000'000;
    auto time = int64_t{day} * 96 * quarter - 60 * quarter;
    const auto wanted = utc_date(day);
    while (date(time) < wanted)
      time += quarter;
    return time;
  }

  /// The hour, day, week or month of a time, in a range that begins then.
  std::string bucket(int64_t time_us, const std::string& interval, int64_t begin_us = 0) const {
    auto local = at(time_us);
    if (interval == "month")
      return shown(local, "%Y-%m-01");
    if (interval == "week") {
      local.tm_mday -= (local.tm_wday + 6) % 7;
      local.tm_hour = 12; // no clock is moved then
      local.tm_isdst = -1;
      ::mktime(&local);
    }
    if (interval != "hour")
      return shown(local, "%F");
    // It begins with the range, or when clocks were moved into it.
    constexpr int64_t second = 1'000'000;
    auto begin = (time_us / second - local.tm_min * 60 - local.tm_sec) * second;
    while (begin < begin_us || at(begin).tm_gmtoff != local.tm_gmtoff)
      begin += second;
    auto out = shown(at(begin), "%FT%T%z");
    return out.insert(out.size() - 2, ":");
  }

private:
  static std::tm at(int64_t time_us) {
    auto seconds = static_cast<std::time_t>(time_us / 1'000'000);
    std::tm out{};
    ::localtime_r(&seconds, &out);
    return out;
  }
  static std::string shown(const std::tm& time, const char* format) {
    char text[64];
    return {text, std::strftime(text, sizeof text, format, &time)};
  }
  static std::string utc_date(int32_t day) {
    auto seconds = static_cast<std::time_t>(day) * 86'400;
    std::tm out{};
    ::gmtime_r(&seconds, &out);
    return shown(out, "%F");
  }

  scoped_variable zone_;
};

} // namespace phi::testing
