#include "server/api/moment_reader.hpp"

#include "protocol/text/rfc3339.hpp"
#include "server/api/time_trouble.hpp"
#include "server/statistics/slots.hpp"
#include "server/statistics/time_zones.hpp"

#include <cctype>
#include <charconv>

namespace phi::api {
namespace {

constexpr int64_t hour_us = 3'600'000'000;
constexpr size_t date_bytes = 10;

/// Of `-12d`.
std::optional<int64_t> number_before(std::string_view text, char unit) {
  int64_t number = 0;
  if (text.size() < 3 || text[0] != '-' || text.back() != unit)
    return {};
  auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size() - 1, number);
  bool whole = error == std::errc{} && end == text.data() + text.size() - 1;
  return whole && number >= 0 && number < 100'000 ? std::optional{number} : std::nullopt;
}

/// Of "today", "yesterday", "-12d".
std::optional<int64_t> days_ago(std::string_view text) {
  if (text == "today")
    return 0;
  return text == "yesterday" ? std::optional<int64_t>{1} : number_before(text, 'd');
}

/// Of "now", "-24h".
std::optional<int64_t> hours_ago(std::string_view text) {
  return text == "now" ? std::optional<int64_t>{0} : number_before(text, 'h');
}

/// Whether somebody has written a date, be it none of the calendar.
bool begins_with_date(std::string_view text) {
  if (text.size() < date_bytes)
    return false;
  for (size_t i = 0; i < date_bytes; ++i)
    if (i == 4 || i == 7 ? text[i] != '-' : !std::isdigit(static_cast<unsigned char>(text[i])))
      return false;
  return true;
}

/// The same time with a + where the offset has a space, as the + of a query string becomes one.
std::string with_plus(std::string_view text) {
  constexpr std::string_view offset = " 01:00";
  std::string out{text};
  if (text.size() > date_bytes + offset.size() && text[text.size() - offset.size()] == ' ')
    out[text.size() - offset.size()] = '+';
  return out;
}

} // namespace

std::optional<int32_t> moment_reader::day(std::string_view text) const {
  if (auto date = parse_date(text))
    return date;
  if (auto days = days_ago(text))
    return day_in_zone_at(zone_, now_us_) - static_cast<int32_t>(*days);
  return {};
}

std::optional<moment> moment_reader::time(std::string_view text) const {
  using namespace statistics;
  if (auto of_zone = day(text))
    return moment{.day = *of_zone};
  if (auto hours = hours_ago(text)) // before the end of the quarter of an hour that it is
    return moment{.day = {}, .time_us = (slot_of(now_us_) + 1) * slot_us - *hours * hour_us};
  auto time_us = parse_rfc3339(text);
  if (!time_us || *time_us % slot_us != 0)
    return {};
  return moment{.day = {}, .time_us = *time_us};
}

std::optional<range_to_compare> moment_reader::range(std::string_view text) const {
  if (text == "previous")
    return range_to_compare{};
  auto dots = text.find("..");
  if (dots == text.npos)
    return {};
  auto first = time(text.substr(0, dots));
  auto last = time(text.substr(dots + 2));
  return first && last ? std::optional{range_to_compare{first, last}} : std::nullopt;
}

std::string what_is_wrong_with_day(std::string_view text) {
  if (!begins_with_date(text))
    return "expected a date such as 2026-01-31, today, yesterday, or -6d";
  auto date = text.substr(0, date_bytes);
  if (!parse_date(date))
    return what_is_wrong_with_time(text);
  return "only whole days are asked for here: write " + std::string{date};
}

std::string what_is_wrong_with_moment(std::string_view text) {
  if (parse_rfc3339(text))
    return "the time must be at a quarter of an hour, as everything is counted by";
  if (!begins_with_date(text))
    return "expected a date such as 2026-01-31, a time such as 2026-01-31T18:45:00Z, today, "
           "yesterday, now, -6d, or -24h";
  if (auto meant = with_plus(text); parse_rfc3339(meant))
    return "in a query string + stands for a space: write "
           + meant.replace(meant.rfind('+'), 1, "%2B");
  return what_is_wrong_with_time(text);
}

std::string what_is_wrong_with_range(std::string_view text, const moment_reader& read) {
  auto dots = text.find("..");
  if (dots == text.npos)
    return "expected previous, or two days or times with .. between them, such as "
           "2026-01-01..2026-01-31 or yesterday..yesterday";
  auto first = text.substr(0, dots);
  return read.time(first) ? "its end: " + what_is_wrong_with_moment(text.substr(dots + 2))
                          : "its start: " + what_is_wrong_with_moment(first);
}

} // namespace phi::api
