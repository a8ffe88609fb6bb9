#include "server/api/time_trouble.hpp"

#include "protocol/text/rfc3339.hpp"

#include <cmath>

namespace phi::api {
namespace {

constexpr std::string_view example = "2026-01-31T12:00:00Z";

std::string like(std::string_view text) {
  return std::string{text} + ", as in " + std::string{example};
}

/// Whether `text` has digits where `shape` has 0, and its characters elsewhere.
bool has_shape(std::string_view text, std::string_view shape) {
  if (text.size() < shape.size())
    return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == '0' ? !digit : text[i] != shape[i])
      return false;
  }
  return true;
}

/// Of what stands behind the seconds.
std::string wrong_zone(std::string_view zone) {
  if (zone.starts_with(','))
    return "the fraction of a second begins with a point, not with a comma";
  if (zone.starts_with('.')) {
    auto end = zone.find_first_not_of("0123456789", 1);
    if (end == 1 || zone.size() == 1)
      return "digits are missing behind the point";
    zone = end == zone.npos ? std::string_view{} : zone.substr(end);
  }
  if (zone.empty())
    return "the zone is missing: add Z for UTC, or an offset such as +01:00";
  if (has_shape(zone.substr(1), "00") && zone.find(':') == zone.npos && zone.size() <= 5
      && (zone[0] == '+' || zone[0] == '-'))
    return "an offset has hours, a colon and minutes: write " + std::string{zone.substr(0, 3)} + ":"
           + (has_shape(zone.substr(3), "00") ? std::string{zone.substr(3, 2)} : "00");
  return "the zone must be Z for UTC, or an offset such as +01:00";
}

} // namespace

std::string what_is_wrong_with_time(std::string_view text) {
  auto date = text.substr(0, 10);
  if (text.empty())
    return like("the time is empty; leave it out, or give one");
  if (!has_shape(date, "0000-00-00"))
    return like("expected an RFC 3339 time");
  if (!parse_date(date))
    return "there is no " + std::string{date} + " in the calendar";
  if (text.size() == 10)
    return like("the time of day is missing behind the date");
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ')
    return like("there must be a T between date and time of day");
  auto day = text.substr(11);
  if (has_shape(day, "00:00") && !has_shape(day, "00:00:"))
    return like("the seconds are missing");
  if (!has_shape(day, "00:00:00"))
    return like("the time of day has two digits each for hour, minute and second");
  if (day.substr(0, 2) > "23" || day.substr(3, 2) > "59" || day.substr(6, 2) > "60")
    return "there is no " + std::string{day.substr(0, 8)} + " in a day";
  return wrong_zone(day.substr(8));
}

std::string what_is_wrong_with_time(double number) {
  constexpr double latest_seconds = 1e11; // in the year 5138
  auto seconds = number;
  while (std::abs(seconds) >= latest_seconds)
    seconds /= 1000;
  return "expected a text: for this number "
         "\""
         + format_rfc3339(std::llround(seconds * 1e6)) + "\"";
}

} // namespace phi::api
