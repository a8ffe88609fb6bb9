#include "server/statistics/time_zones.hpp"

#include "config/keys.hpp"
#include "protocol/text/rfc3339.hpp"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace phi {
namespace {

const date::time_zone* find_zone(const std::string& name) {
  try {
    return name.empty() ? nullptr : date::locate_zone(name);
  } catch (const std::exception&) {
    return nullptr;
  }
}

/// The moment a day begins. When the clocks skip midnight, that is the moment after the gap; when
/// they show midnight twice, the first.
int64_t start_of_day(const date::time_zone& zone, int32_t day) {
  auto local = date::local_days{date::days{day}};
  auto start = zone.to_sys(local, date::choose::earliest);
  return std::chrono::duration_cast<std::chrono::microseconds>(start.time_since_epoch()).count();
}

const date::time_zone& zone_of(const std::string& name) {
  if (const auto* zone = find_zone(name))
    return *zone;
  throw std::runtime_error("unknown time zone " + name);
}

// -- buckets --------------------------------------------------------------------------------------

constexpr int64_t second_us = 1'000'000;
constexpr int64_t hour_us = 3600 * second_us;

date::sys_seconds seconds_of(int64_t time_us) {
  return date::floor<std::chrono::seconds>(
    date::sys_time<std::chrono::microseconds>{std::chrono::microseconds{time_us}});
}

int64_t us_of(date::sys_seconds time) {
  return time.time_since_epoch().count() * second_us;
}

int32_t local_day(const date::time_zone& zone, int64_t time_us) {
  auto local = zone.to_local(seconds_of(time_us));
  return static_cast<int32_t>(date::floor<date::days>(local).time_since_epoch().count());
}

/// "2026-03-29T03:00:00+02:00".
std::string label_of_hour(int64_t local_us, std::chrono::seconds offset) {
  auto out = format_rfc3339(local_us);
  out.pop_back(); // the Z
  auto minutes = std::chrono::duration_cast<std::chrono::minutes>(offset).count();
  char text[24];
  std::snprintf(text, sizeof text, "%c%02d:%02d", minutes < 0 ? '-' : '+',
                static_cast<int>(std::abs(minutes) / 60), static_cast<int>(std::abs(minutes) % 60));
  return out + text;
}

/// The hour that the clocks show, and where it ends: at the full hour, or when they are moved.
std::pair<std::string, int64_t> hour_at(const date::time_zone& zone, int64_t time_us) {
  auto now = zone.get_info(seconds_of(time_us));
  auto offset_us = std::chrono::microseconds{now.offset}.count();
  auto local_us = time_us + offset_us;
  auto into_hour = ((local_us % hour_us) + hour_us) % hour_us;
  auto end = seconds_of(time_us - into_hour + hour_us);
  // A zone may change its name, and the clocks go on.
  if (now.end < end && zone.get_info(now.end).offset != now.offset)
    end = now.end;
  return {label_of_hour(local_us, now.offset), us_of(end)};
}

/// The first day of the week or the month that a day is in.
int32_t first_day_of(interval by, int32_t day) {
  auto date = date::year_month_day{date::sys_days{date::days{day}}};
  if (by == interval::week) // 1970-01-01 was a Thursday
    return day - (((day + 3) % 7) + 7) % 7;
  if (by == interval::month)
    return day - static_cast<int32_t>(static_cast<unsigned>(date.day())) + 1;
  return day;
}

int32_t next_bucket(interval by, int32_t day) {
  if (by == interval::month)
    return first_day_of(by, day + 31);
  return day + (by == interval::week ? 7 : 1);
}

} // namespace

bool is_time_zone(const std::string& name) {
  return find_zone(name) != nullptr;
}

std::string closest_time_zone(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& zone : date::get_tzdb().zones)
    names.push_back(zone.name());
  return closest(name, names);
}

time_range day_in_zone(const std::string& name, int32_t day) {
  const auto& zone = zone_of(name);
  return {start_of_day(zone, day), start_of_day(zone, day + 1)};
}

int32_t day_in_zone_at(const std::string& name, int64_t time_us) {
  return local_day(zone_of(name), time_us);
}

std::optional<interval> interval_of(std::string_view name) {
  constexpr std::array names{"hour", "day", "week", "month"};
  auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? std::nullopt
                              : std::optional{static_cast<interval>(found - names.begin())};
}

std::vector<time_bucket> days_in_zone(const std::string& name, int32_t first, int32_t last) {
  std::vector<time_bucket> out;
  for (auto day = first; day <= last; ++day)
    out.push_back({format_date(day), day_in_zone(name, day)});
  return out;
}

std::vector<time_bucket> buckets_in_zone(const std::string& name, interval by, time_range range) {
  const auto& zone = zone_of(name);
  std::vector<time_bucket> out;
  if (by == interval::hour) {
    for (auto at = range.begin_us; at < range.end_us;) {
      auto [label, end_us] = hour_at(zone, at);
      out.push_back({std::move(label), {at, std::min(end_us, range.end_us)}});
      at = end_us;
    }
    return out;
  }
  for (auto day = first_day_of(by, local_day(zone, range.begin_us));
       start_of_day(zone, day) < range.end_us;) {
    auto next = next_bucket(by, day);
    time_range whole{start_of_day(zone, day), start_of_day(zone, next)};
    out.push_back(
      {format_date(day),
       {std::max(whole.begin_us, range.begin_us), std::min(whole.end_us, range.end_us)}});
    day = next;
  }
  return out;
}

} // namespace phi
