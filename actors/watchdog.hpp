#pragma once
/// WATCHDOG: pings everybody, tells the service manager that all is well, names who is late, and
/// gives the process up when somebody is stuck for good. Stays armed in a stop.

#include "actors/child.hpp"
#include "actors/health_causes.hpp"
#include "actors/health_quorum.hpp"
#include "actors/ports/watch_port.hpp"
#include "config/config.hpp"

#include <map>
#include <string>

namespace phi {

struct watchdog_settings {
  bool enabled = false;
  duration interval{};
  duration limit{};
};

/// The settings in effect: a service manager that asks for signs of life switches the watchdog on
/// and bounds its times, so that the dump comes before the manager's own limit.
watchdog_settings watchdog_settings_of(const config& settings,
                                       std::optional<duration> manager_limit);

struct watchdog_state {
  struct member {
    pingable_actor actor;
    activity_ptr seen_at; ///< its progress, visible while it is stuck
  };

  child_identity who;
  watchdog_settings settings;
  watch_port_ptr port;
  health_quorum quorum{duration::zero(), duration::zero()};
  std::map<std::string, member> members;
  std::map<std::string, activity_ptr> activities;
  uint64_t rounds = 0;
  uint64_t timer = 0;                ///< number of the current timer
  time_point due{};                  ///< when the next round should begin
  duration suspended{};              ///< as last seen
  bool owes_beat = false;            ///< the round under way has not been told to the manager
  std::string shown;                 ///< who is late, as last shown
  std::optional<time_point> gave_up; ///< on whom is in the log; once an incident
  health_quorum signs{duration::zero(),
                      duration::zero()}; ///< of the actors, for the health of the whole
  time_point check_due{};
  bool asked = false; ///< the supervisor, which has not answered yet
  bool stopping = false;
  health_signs seen;
  health_changes changes;
};

/// `activities` of everybody that may be watched, the supervisor included.
watchdog_actor::behavior_type
watchdog_behavior(watchdog_actor::stateful_pointer<watchdog_state> self, child_identity who,
                  watchdog_settings settings, watch_port_ptr port,
                  std::map<std::string, activity_ptr> activities);

} // namespace phi
