#include "protocol/text/rfc3339.hpp"

#include <chrono>
#include <cstdio>

namespace phi {
namespace {

using namespace std::chrono;

/// The number in `text[at, at + digits)`; nothing unless all are digits.
std::optional<int> number(std::string_view text, size_t at, size_t digits) {
  if (at + digits > text.size())
    return std::nullopt;
  int value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (text[i] < '0' || text[i] > '9')
      return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

/// Minutes east of UTC of `Z`, `+05:45`, `-03:00`; nothing for anything else.
std::optional<int> offset_minutes(std::string_view text) {
  if (text == "Z" || text == "z")
    return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
    return std::nullopt;
  auto hours = number(text, 1, 2);
  auto minutes = number(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59)
    return std::nullopt;
  int total = *hours * 60 + *minutes;
  return text[0] == '-' ? -total : total;
}

/// Reads `.123456789` at `at`, moves `at` behind it, and gives its microseconds.
std::optional<int64_t> fraction(std::string_view text, size_t& at) {
  if (at >= text.size() || text[at] != '.')
    return 0;
  int64_t microseconds = 0;
  int64_t unit = 100'000;
  size_t first = ++at;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    microseconds += (text[at] - '0') * unit;
    unit /= 10;
  }
  if (at == first)
    return std::nullopt;
  return microseconds;
}

} // namespace

std::optional<int32_t> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-')
    return std::nullopt;
  auto y = number(text, 0, 4);
  auto m = number(text, 5, 2);
  auto d = number(text, 8, 2);
  if (!y || !m || !d || *y < 1)
    return std::nullopt;
  year_month_day date{year{*y}, month(unsigned(*m)), day(unsigned(*d))};
  if (!date.ok())
    return std::nullopt;
  return sys_days{date}.time_since_epoch().count();
}

std::string format_date(int32_t days_since_epoch) {
  year_month_day date{sys_days{days{days_since_epoch}}};
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", int(date.year()), unsigned(date.month()),
                unsigned(date.day()));
  return text;
}

std::optional<int64_t> parse_rfc3339(std::string_view text) {
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't' && text[10] != ' '))
    return std::nullopt;
  auto date = parse_date(text.substr(0, 10));
  auto hour = number(text, 11, 2);
  auto minute = number(text, 14, 2);
  auto second = number(text, 17, 2);
  if (!date || !hour || !minute || !second || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  size_t at = 19;
  auto micros = fraction(text, at);
  auto offset = offset_minutes(text.substr(at));
  if (!micros || !offset)
    return std::nullopt;
  if (*second == 60) { // a leap second: the clock that we count with has none
    *second = 59;
    *micros = 999'999;
  }
  int64_t seconds = int64_t{*date} * 86'400 + *hour * 3600 + (*minute - *offset) * 60 + *second;
  return seconds * 1'000'000 + *micros;
}

std::string format_rfc3339(int64_t microseconds) {
  auto point = sys_time<std::chrono::microseconds>{std::chrono::microseconds{microseconds}};
  auto day = floor<days>(point);
  hh_mm_ss clock_time{point - day};
  char text[48];
  std::snprintf(text, sizeof text, "T%02d:%02d:%02d.%06d", int(clock_time.hours().count()),
                int(clock_time.minutes().count()), int(clock_time.seconds().count()),
                int(clock_time.subseconds().count()));
  std::string out = format_date(int32_t(day.time_since_epoch().count())) + text;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.')
    out.pop_back();
  return out + 'Z';
}

int64_t wall_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

} // namespace phi
