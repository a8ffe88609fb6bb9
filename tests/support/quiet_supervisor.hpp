#pragma once
/// A supervisor for one actor on its own: it says that all is well, and only remembers.

#include "protocol/actors.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace phi::testing {

struct heard_by_supervisor {
  // What it answers:
  service_status status;
  stop_forecast forecast;
  reload_report reloaded;
  bool answers = true; ///< else nothing that it is asked but a ping

  // What it was told:
  std::vector<bool> lame_duck;
  std::vector<std::pair<stop_mode, stop_reason>> stops; ///< that were asked for
  std::vector<stopped_report> stopped;
  int reloads = 0;
  int dumps = 0;
  int turned = 0; ///< into a lame duck, or back
};

inline supervisor_actor::behavior_type
quiet_supervisor(supervisor_actor::pointer self, std::shared_ptr<heard_by_supervisor> heard) {
  return {
    [heard](atom::terminate, stop_mode mode, stop_reason reason) {
      heard->stops.emplace_back(mode, reason);
    },
    [heard](atom::lame_duck, bool on) { heard->lame_duck.push_back(on); },
    [heard](atom::lame_duck) { ++heard->turned; },
    [heard](atom::dump) { ++heard->dumps; },
    [heard](atom::stopped, const stopped_report& report) { heard->stopped.push_back(report); },
    [self, heard](atom::status) -> caf::result<service_status> {
      if (!heard->answers)
        return self->make_response_promise<service_status>();
      return heard->status;
    },
    [](atom::ping) { return pong{}; },
    [self, heard](atom::plan) -> caf::result<stop_forecast> {
      if (!heard->answers)
        return self->make_response_promise<stop_forecast>();
      return heard->forecast;
    },
    [self, heard](atom::reload) -> caf::result<reload_report> {
      ++heard->reloads;
      if (!heard->answers)
        return self->make_response_promise<reload_report>();
      return heard->reloaded;
    },
    [](atom::tick, uint64_t) {},
    [](atom::give_up, const std::string&) {},
    [](atom::restart, uint32_t) {},
  };
}

} // namespace phi::testing
