#include "server/statistics/time_zones.hpp"

#include "config/keys.hpp"

#include <date/tz.h>

#include <vector>

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
  const auto* zone = find_zone(name);
  if (!zone)
    throw std::runtime_error("unknown time zone " + name);
  return {start_of_day(*zone, day), start_of_day(*zone, day + 1)};
}

} // namespace phi
