#include "actors/watchdog.hpp"

#include "actors/exit_report.hpp"

namespace phi {
namespace {

using self_ptr = watchdog_actor::stateful_pointer<watchdog_state>;

void send_ping(self_ptr self, const std::string& name, const child_actor& actor) {
  const auto& state = self->state;
  ask_urgent(
    self, actor, state.with.limit,
    [self, name](const pong& answer) {
      self->state.quorum.answered(name, answer.progress, now_of(self));
    },
    [self, name](const caf::error& error) {
      auto& state = self->state;
      auto member = state.members.find(name);
      if (member == state.members.end())
        return;
      if (error == caf::sec::request_receiver_down) {
        // Gone, not late: the supervisor knows by its DOWN.
        state.quorum.forget(name);
        state.members.erase(member);
      } else {
        send_ping(self, name, member->second.actor);
      }
    },
    atom::ping_v);
}

void ping_one(self_ptr self, const std::string& name, const child_actor& actor) {
  auto& state = self->state;
  if (state.quorum.pending(name))
    return;
  state.quorum.pinged(name);
  send_ping(self, name, actor);
}

void report_late(self_ptr self) {
  auto& state = self->state;
  for (const auto& [name, silent, stuck] : state.quorum.late(now_of(self))) {
    auto at = state.members.find(name);
    auto what = at == state.members.end() ? "?" : at->second.seen_at->show();
    log_warn("watchdog", "misses an answer",
             {{"late", name}, {"silent", show_duration(silent)}, {"doing", what}});
    if (stuck)
      tell_urgent(self, state.who.supervisor, atom::stalled_v, name);
  }
}

void next_round(self_ptr self) {
  auto& state = self->state;
  fault_point("watchdog.tick");
  ++state.rounds;
  for (const auto& [name, member] : state.members)
    state.quorum.seen(name, member.seen_at->progress(), now_of(self));
  report_late(self);
  for (const auto& [name, member] : state.members)
    ping_one(self, name, member.actor);
  tell_later(self, state.with.interval, atom::tick_v, state.rounds);
}

} // namespace

watchdog_actor::behavior_type watchdog_behavior(self_ptr self, child_identity who,
                                                watchdog_settings with,
                                                std::map<std::string, activity_ptr> activities) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.with = with;
  state.quorum = health_quorum{with.limit};
  state.activities = std::move(activities);
  if (with.enabled)
    tell_later(self, with.interval, atom::tick_v, uint64_t{0});
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("watchdog.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("watchdog.release");
      leave(self, {.did = {{"rounds", self->state.rounds}}});
    },
    [self](atom::ping) { return pong_of(self->state.who); },
    [self](atom::status) {
      const auto& state = self->state;
      auto late = state.quorum.late(now_of(self)).size();
      return actor_status{.actor = state.who.name,
                          .doing = !state.with.enabled ? "off"
                                   : late == 0         ? "all healthy"
                                                       : std::to_string(late) + " late",
                          .progress = state.rounds,
                          .gauges = {{"rounds", state.rounds}, {"late", late}}};
    },
    [self](atom::tick, uint64_t) { next_round(self); },
    [self](atom::use, const std::string& name, const child_actor& actor) {
      auto& state = self->state;
      auto seen_at = state.activities.find(name);
      if (seen_at == state.activities.end())
        return;
      state.members[name] = {actor, seen_at->second};
      state.quorum.watch(name, now_of(self));
    });
}

} // namespace phi
