#pragma once
/// A supervisor for one actor on its own: it says that all is well, and only remembers.

#include "protocol/actors.hpp"

#include <memory>
#include <vector>

namespace phi::testing {

struct heard_by_supervisor {
  service_status status; ///< what it answers
  std::vector<bool> lame_duck;
};

inline supervisor_actor::behavior_type
quiet_supervisor(supervisor_actor::pointer, std::shared_ptr<heard_by_supervisor> heard) {
  return {
    [](atom::terminate, stop_mode, stop_reason) {},
    [heard](atom::lame_duck, bool on) { heard->lame_duck.push_back(on); },
    [](atom::lame_duck) {},
    [](atom::dump) {},
    [](atom::stopped, const stopped_report&) {},
    [heard](atom::status) { return heard->status; },
    [](atom::ping) { return pong{}; },
    [](atom::plan) { return stop_forecast{}; },
    [](atom::reload) { return reload_report{}; },
    [](atom::tick, uint64_t) {},
    [](atom::give_up, const std::string&) {},
    [](atom::restart, uint32_t) {},
  };
}

} // namespace phi::testing
