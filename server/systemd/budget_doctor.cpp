#include "server/systemd/budget_doctor.hpp"

#include "actors/watchdog.hpp"
#include "config/defaults.hpp"
#include "config/loader.hpp"

namespace phi::systemd {
namespace {

using std::chrono::seconds;

std::string in_seconds(duration d) {
  auto ms = d / std::chrono::milliseconds{1};
  auto text = std::to_string(ms / 1000);
  if (auto rest = ms % 1000; rest != 0)
    text += "." + std::to_string(1000 + rest).substr(1);
  return text + " s";
}

/// What to write into the unit so that `needed` fits.
std::string setting(const char* name, seconds needed) {
  return std::string{name} + "=" + std::to_string(needed.count());
}

void examine_stop(const config& settings, const unit_limits& limits,
                  std::vector<budget_finding>& out) {
  const auto& s = settings.shutdown;
  if (!limits.stop)
    return;
  if (!s.force_quit)
    return out.push_back(
      {"shutdown.force_quit = false waits without limit, but " + limits.unit
         + " is killed by TimeoutStopSec after " + in_seconds(*limits.stop),
       "set TimeoutStopSec=infinity in the unit, or shutdown.force_quit = true"});
  auto hard = seconds{s.timeout_secs + s.force_delay_secs};
  auto needed = hard + std::chrono::ceil<seconds>(defaults::stop_margin);
  if (*limits.stop < needed)
    out.push_back({"a stop may take shutdown.timeout_secs + shutdown.force_delay_secs = "
                     + in_seconds(hard) + ", but TimeoutStopSec of " + limits.unit + " is "
                     + in_seconds(*limits.stop) + ": without progress we end it before that",
                   "set " + setting("TimeoutStopSec", needed)
                     + " in the unit, or lower shutdown.timeout_secs"});
}

void examine_start(const config& settings, const unit_limits& limits,
                   std::vector<budget_finding>& out) {
  auto ours = seconds{settings.shutdown.start_timeout_secs};
  if (limits.start && *limits.start <= ours)
    out.push_back(
      {"a start may go on without progress for shutdown.start_timeout_secs = " + in_seconds(ours)
         + ", but TimeoutStartSec of " + limits.unit + " is " + in_seconds(*limits.start),
       "set " + setting("TimeoutStartSec", ours + seconds{5})
         + " in the unit, or lower shutdown.start_timeout_secs"});
}

void examine_watchdog(const config& settings, const unit_limits& limits,
                      std::vector<budget_finding>& out) {
  const auto& w = settings.shutdown.watchdog;
  if (!limits.watchdog) {
    if (w.enabled && !w.abort)
      out.push_back(
        {"shutdown.watchdog.enabled = true, but " + limits.unit
           + " has no WatchdogSec: a stuck actor is logged and nothing else",
         "set " + setting("WatchdogSec", seconds{w.timeout_secs * 3 / 2}) + " in the unit"});
    return;
  }
  auto interval = seconds{w.interval_secs};
  auto limit = seconds{w.timeout_secs};
  auto used = watchdog_settings_of(settings, limits.watchdog);
  if (interval * 2 >= *limits.watchdog)
    out.push_back({"shutdown.watchdog.interval_secs = " + in_seconds(interval)
                     + " must be less than half of WatchdogSec of " + limits.unit + " ("
                     + in_seconds(*limits.watchdog) + "), so " + in_seconds(used.interval)
                     + " is used",
                   "lower it, or set " + setting("WatchdogSec", interval * 2 + seconds{1})
                     + " or more in the unit"});
  if (used.limit < limit)
    out.push_back({"shutdown.watchdog.timeout_secs = " + in_seconds(limit)
                     + " and two intervals must be less than WatchdogSec of " + limits.unit + " ("
                     + in_seconds(*limits.watchdog) + "), so " + in_seconds(used.limit)
                     + " is used",
                   "lower it, or set " + setting("WatchdogSec", limit + interval * 2 + seconds{1})
                     + " in the unit"});
}

} // namespace

std::vector<budget_finding> examine_budgets(const config& settings, const unit_limits& limits) {
  std::vector<budget_finding> out;
  examine_start(settings, limits, out);
  examine_stop(settings, limits, out);
  examine_watchdog(settings, limits, out);
  return out;
}

std::optional<budget_finding> examine_group(const config& settings, const unit_limits& limits) {
  const auto& group = settings.admin.group;
  if (group.empty() || !limits.private_users || group == limits.group)
    return std::nullopt;
  return budget_finding{"admin.group = \"" + group + "\", but " + limits.unit
                          + " sees no group but its own"
                          + (limits.group.empty() ? "" : ", " + limits.group),
                        "let it run in the group: systemctl edit " + limits.unit
                          + ", and add [Service] Group=" + group};
}

std::optional<budget_finding> examine_address(const config& settings,
                                              const std::map<std::string, std::string>& origins,
                                              const std::string& socket_unit) {
  if (socket_unit.empty())
    return std::nullopt;
  std::string set;
  for (const auto& [key, value] : {std::pair{"server.host", settings.server.host},
                                   {"server.port", std::to_string(settings.server.port)}})
    if (auto origin = origins.find(key);
        origin != origins.end() && origin->second != default_origin)
      set +=
        (set.empty() ? "" : ", ") + std::string{key} + " = " + value + " (" + origin->second + ")";
  if (set.empty())
    return std::nullopt;
  return budget_finding{set + " has no effect: " + socket_unit
                          + " decides where the service listens",
                        "change ListenStream= with systemctl edit " + socket_unit};
}

} // namespace phi::systemd
