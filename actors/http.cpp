#include "actors/http.hpp"

#include "protocol/text/duration.hpp"

namespace phi {
namespace {

using self_ptr = http_actor::stateful_pointer<http_state>;

void stop_accepting(self_ptr self, const stop_order& order) {
  auto& state = self->state;
  fault_point("http.stop");
  if (!state.stop_at) {
    state.stop_at = now_of(self);
    state.at_stop = state.port->counts();
    state.port->stop_accepting();
  }
  if (order.mode >= stop_mode::fast)
    state.port->escalate();
}

void all_gone(self_ptr self) {
  auto& state = self->state;
  if (!state.stop_at)
    return;
  state.left = true;
  auto counts = state.port->counts();
  auto refused = counts.refused - state.at_stop.refused;
  stopped_report report{
    .did = {{"requests_finished", counts.requests - state.at_stop.requests - refused},
            {"requests_refused", refused},
            {"connections_closed", state.at_stop.connections}}};
  report.waits = state.port->waits();
  leave(self, std::move(report));
}

std::string why_degraded(http_port& port) {
  for (const auto& loop : port.loops_alive())
    if (!loop.shortage.empty())
      return "the listener takes no new connections: " + loop.shortage;
  return {};
}

actor_status current_status(self_ptr self) {
  const auto& state = self->state;
  auto counts = state.port->counts();
  std::string doing = std::to_string(counts.in_flight) + " requests in flight on "
                      + std::to_string(counts.connections) + " connections";
  bool idle = counts.connections == 0;
  if (idle)
    doing = "idle";
  if (state.stop_at)
    for (const auto& wait : state.port->waits())
      doing = (idle ? std::string{} : doing + ", ") + "waits for " + wait.whom + " for "
              + show_duration(wait.for_how_long);
  return status_of(self, {.doing = doing,
                          .idle = idle,
                          .progress = counts.requests,
                          .gauges = {{gauge_name::connections, counts.connections},
                                     {"in_flight", counts.in_flight},
                                     {"requests", counts.requests},
                                     {"refused", counts.refused},
                                     {"rate_limited", counts.rate_limited},
                                     {"accepted", counts.accepted},
                                     {"reset_before_accept", counts.reset_before_accept},
                                     {"failed_accepts", counts.failed_accepts},
                                     {"held_back", counts.held_back},
                                     {"made_room", counts.made_room}},
                          .degraded = why_degraded(*state.port),
                          .ails = "takes no new connections",
                          .code = ailment::no_connections});
}

} // namespace

http_actor::behavior_type http_behavior(self_ptr self, child_identity who, http_port_ptr port) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  state.who.activity->learn_waits_from([port = state.port] { return port->waits(); });
  fault_point("http.open");
  auto opened =
    state.port->open([me = http_actor{self}] { tell_from_outside(me, atom::drained_v); });
  if (!opened)
    fail_to_start(self, opened.why());
  return handlers(
    self, [self](atom::stop, const stop_order& order) { stop_accepting(self, order); },
    [self](atom::release, const release_order& order) {
      fault_point("http.release");
      if (order.mode >= stop_mode::fast)
        self->state.port->escalate();
    },
    [self](atom::ping) {
      fault_point("http.ping");
      return pong{self->state.port->counts().requests};
    },
    [self](atom::status) { return current_status(self); },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(settings);
      return pong{self->state.port->counts().requests};
    },
    [self](atom::drained) { all_gone(self); });
}

} // namespace phi
