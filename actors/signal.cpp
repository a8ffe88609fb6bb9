#include "actors/signal.hpp"

#include <csignal>

namespace phi {
namespace {

using self_ptr = signal_actor::stateful_pointer<signal_state>;

void obey(self_ptr self, int number) {
  auto& state = self->state;
  ++state.heard;
  auto stop = [&](stop_mode least, stop_reason reason) {
    tell_urgent(self, state.who.supervisor, atom::terminate_v, state.ladder.press(least), reason);
  };
  switch (number) {
    case SIGTERM: return stop(stop_mode::graceful, stop_reason::terminate);
    case SIGINT: return stop(stop_mode::graceful, stop_reason::interrupt);
    case SIGQUIT: return stop(stop_mode::fast, stop_reason::interrupt);
    case SIGHUP: // nobody waits for the answer, the supervisor logs it
      return tell_urgent_from_outside(state.who.supervisor, atom::reload_v);
    case SIGUSR1: return tell_urgent(self, state.who.supervisor, atom::dump_v);
    case SIGUSR2: return tell_urgent(self, state.who.supervisor, atom::lame_duck_v);
    default: return log_warn("signal", "ignores a signal", {{"number", number}});
  }
}

} // namespace

signal_actor::behavior_type signal_behavior(self_ptr self, child_identity who,
                                            std::function<void(signal_actor)> attach) {
  set_up_child(self, std::move(who));
  attach(signal_actor{self});
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("signal.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("signal.release");
      leave(self, {.did = {{"signals", self->state.heard}}});
    },
    [self](atom::ping) {
      fault_point("signal.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      return status_of(
        self, {.doing = "idle", .progress = state.heard, .gauges = {{"signals", state.heard}}});
    },
    [self](atom::adopt, const config_ptr&) { return pong_of(self->state.who); },
    [self](atom::signaled, int number) { obey(self, number); });
}

} // namespace phi
