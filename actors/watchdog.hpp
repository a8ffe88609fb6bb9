#pragma once
/// WATCHDOG: pings everybody, names who is late, and reports who is stuck. Stays armed in a stop.

#include "actors/child.hpp"
#include "actors/health_quorum.hpp"

#include <map>
#include <string>

namespace phi {

struct watchdog_settings {
  bool enabled = false;
  duration interval{};
  duration limit{};
};

struct watchdog_state {
  struct member {
    child_actor actor;
    activity_ptr seen_at; ///< its progress, visible while it is stuck
  };

  child_identity who;
  watchdog_settings with;
  health_quorum quorum{duration::zero()};
  std::map<std::string, member> members;
  std::map<std::string, activity_ptr> activities;
  uint64_t rounds = 0;
};

watchdog_actor::behavior_type
watchdog_behavior(watchdog_actor::stateful_pointer<watchdog_state> self, child_identity who,
                  watchdog_settings with, std::map<std::string, activity_ptr> activities);

} // namespace phi
