#include "actors/membership.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"

#include <utility>

namespace phi {
namespace {

using self_ptr = membership_actor::stateful_pointer<membership_state>;

void execute(self_ptr self, std::optional<instance_wish> wanted) {
  auto& state = self->state;
  if (std::exchange(state.wanted, wanted) == wanted || !wanted)
    return;
  log_info("membership", "is asked by another instance", {{"wanted", to_string(*wanted)}});
  tell_urgent(self, state.who.supervisor, atom::lame_duck_v, *wanted == instance_wish::drain);
}

/// Everything that a sign of life brings, or that none can be given, decides whose duty it is.
void lead(self_ptr self, bool leads) {
  if (auto maintenance = self->state.maintenance())
    tell(self, maintenance, atom::lead_v, leads);
}

void beat(self_ptr self, const service_status& status) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "renewing the lease"};
  fault_point("membership.beat");
  cluster_port::report report{.state = status.state};
  if (status.ledger) {
    report.spooled = status.ledger->spooled;
    auto settled = status.ledger->stored + status.ledger->duplicates;
    report.committed = settled > std::exchange(state.settled, settled);
  }
  auto heard = state.port->beat(report);
  if (!heard) {
    if (std::exchange(state.away, heard.why()) != heard.why())
      log_warn("membership", "cannot reach the other instances", {{"cause", heard.why()}});
    return lead(self, false);
  }
  ++state.beats;
  state.away.clear();
  lead(self, heard->leads);
  execute(self, heard->wanted);
}

void arm(self_ptr self) {
  tell_later(self, defaults::heartbeat_interval, atom::tick_v);
}

void next_beat(self_ptr self) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [self](const service_status& status) {
      beat(self, status);
      arm(self);
    },
    [self](const caf::error&) { arm(self); }, atom::status_v);
}

} // namespace

membership_actor::behavior_type
membership_behavior(self_ptr self, child_identity who, cluster_port_ptr port,
                    std::function<maintenance_actor()> maintenance) {
  set_up_child(self, std::move(who));
  self->state.port = std::move(port);
  self->state.port->watched_by(self->state.who.activity);
  self->state.maintenance = std::move(maintenance);
  tell(self, membership_actor{self}, atom::tick_v);
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("membership.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("membership.release");
      {
        activity_scope scope{*self->state.who.activity, "leaving the cluster"};
        self->state.port->leave();
      }
      leave(self, {.did = {{"beats", self->state.beats}}});
    },
    [self](atom::ping) {
      fault_point("membership.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      return status_of(self, {.doing = state.away.empty() ? "idle" : "the database is away",
                              .idle = state.away.empty(),
                              .progress = state.who.activity->progress(),
                              .gauges = {{"beats", state.beats}},
                              .degraded = state.away,
                              .ails = "the database is away",
                              .code = ailment::database_away});
    },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::tick) { next_beat(self); },
    [self](atom::ask, const asked_ptr<cluster_task>& asked) {
      activity_scope scope{*self->state.who.activity, "answering a question"};
      asked->reply.answer(self->state.port->answer(asked->question));
    });
}

} // namespace phi
