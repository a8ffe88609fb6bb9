#pragma once
/// A supervisor for one actor on its own: it says that all is well, and only remembers.

#include "protocol/actors.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace phi::testing {

struct heard_by_supervisor {
  service_status status; ///< what it answers
  std::vector<bool> lame_duck;
  std::vector<std::pair<stop_mode, stop_reason>> stops; ///< that were asked for
  std::vector<stopped_report> stopped;
  int reloads = 0;
  int dumps = 0;
  int turned = 0; ///< into a lame duck, or back
};

inline supervisor_actor::behavior_type
quiet_supervisor(supervisor_actor::pointer, std::shared_ptr<heard_by_supervisor> heard) {
  return {
    [heard](atom::terminate, stop_mode mode, stop_reason reason) {
      heard->stops.emplace_back(mode, reason);
    },
    [heard](atom::lame_duck, bool on) { heard->lame_duck.push_back(on); },
    [heard](atom::lame_duck) { ++heard->turned; },
    [heard](atom::dump) { ++heard->dumps; },
    [heard](atom::stopped, const stopped_report& report) { heard->stopped.push_back(report); },
    [heard](atom::status) { return heard->status; },
    [](atom::ping) { return pong{}; },
    [](atom::plan) { return stop_forecast{}; },
    [heard](atom::reload) {
      ++heard->reloads;
      return reload_report{};
    },
    [](atom::tick, uint64_t) {},
    [](atom::give_up, const std::string&) {},
    [](atom::restart, uint32_t) {},
  };
}

} // namespace phi::testing
