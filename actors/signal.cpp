#include "actors/signal.hpp"

#include <string_view>

namespace phi {
namespace {

using self_ptr = signal_actor::stateful_pointer<signal_state>;

stop_reason reason_of(signal_kind kind) {
  return kind == signal_kind::interrupt ? stop_reason::interrupt
         : kind == signal_kind::quit    ? stop_reason::quit
                                        : stop_reason::terminate;
}

/// What a person who presses again has to expect.
std::string_view next_press(const heard_signal& signal) {
  if (signal.press >= 3)
    return "nothing: the process ends now";
  if (signal.press == 2)
    return "another stop signal ends the process at once";
  return signal.wish == stop_mode::graceful
           ? "another stop signal makes the stop fast, a third ends the process at once"
           : "the third stop signal ends the process at once";
}

void stop_service(self_ptr self, const heard_signal& signal) {
  if (!signal.wish)
    return log_info("signal", "takes a signal for the same wish as the last",
                    {{"signal", to_string(signal.kind)}});
  log_info("signal", "hears a stop signal",
           {{"signal", to_string(signal.kind)},
            {"mode", to_string(*signal.wish)},
            {"next", next_press(signal)}});
  tell_urgent(self, self->state.who.supervisor, atom::terminate_v, *signal.wish,
              reason_of(signal.kind));
}

void handle(self_ptr self, const heard_signal& signal) {
  auto& state = self->state;
  ++state.heard;
  switch (signal.kind) {
    case signal_kind::terminate:
    case signal_kind::interrupt:
    case signal_kind::quit: return stop_service(self, signal);
    case signal_kind::reload: // nobody waits for the answer, the supervisor logs it
      return tell_urgent_from_outside(state.who.supervisor, atom::reload_v);
    case signal_kind::dump: return tell_urgent(self, state.who.supervisor, atom::dump_v);
    case signal_kind::lame_duck: return tell_urgent(self, state.who.supervisor, atom::lame_duck_v);
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
      return status_of(self, {.doing = "idle",
                              .idle = true,
                              .progress = state.heard,
                              .gauges = {{"signals", state.heard}}});
    },
    [self](atom::apply, const config_ptr&) { return pong_of(self->state.who); },
    [self](atom::signaled, const heard_signal& signal) { handle(self, signal); });
}

} // namespace phi
