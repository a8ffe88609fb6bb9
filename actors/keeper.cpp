#include "actors/keeper.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"

#include <algorithm>
#include <utility>

namespace phi {
namespace {

using self_ptr = keeper_actor::stateful_pointer<keeper_state>;

void execute(self_ptr self, const std::string& wanted) {
  auto& state = self->state;
  if (std::exchange(state.wanted, wanted) == wanted || wanted.empty())
    return;
  log_info("keeper", "is asked by another instance", {{"wanted", wanted}});
  tell_urgent(self, state.who.supervisor, atom::lame_duck_v, wanted == "drain");
}

void beat(self_ptr self, const service_status& status) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "renewing the lease"};
  fault_point("keeper.beat");
  cluster_port::report how{.state = std::string{to_string(status.state)}};
  if (status.ledger) {
    how.spooled = status.ledger->spooled;
    auto settled = status.ledger->stored + status.ledger->duplicates;
    how.committed = settled > std::exchange(state.settled, settled);
  }
  auto heard = state.port->beat(how);
  if (!heard) {
    if (std::exchange(state.away, heard.why()) != heard.why())
      log_warn("keeper", "cannot reach the other instances", {{"cause", heard.why()}});
    state.leads = false;
    return;
  }
  ++state.beats;
  state.away.clear();
  if (heard->leads != std::exchange(state.leads, heard->leads))
    log_info("keeper", heard->leads ? "takes over the maintenance" : "leaves the maintenance");
  execute(self, heard->wanted);
}

void maintain_if_due(self_ptr self) {
  auto& state = self->state;
  if (!state.leads || now_of(self) < state.maintain_at)
    return;
  activity_scope scope{*state.who.activity, "maintaining the database"};
  fault_point("keeper.maintain");
  auto [did, warning, error] = state.port->maintain();
  if (!did.empty())
    log_info("keeper", "maintains the database", {{"did", did}});
  if (!warning.empty())
    log_warn("keeper", "finds something in the database", {{"what", warning}});
  // While there is something to do, step after step; else now and then. What cannot be done is
  // tried less and less often: each try may make others wait for a lock.
  duration wait = did.empty() ? defaults::maintenance_interval : defaults::maintenance_step;
  if (error.empty()) {
    state.retry = defaults::maintenance_retry;
  } else {
    log_warn("keeper", "cannot maintain the database now",
             {{"cause", error}, {"again_after_s", state.retry / std::chrono::seconds{1}}});
    wait = std::exchange(state.retry,
                         std::min<duration>(state.retry * 2, defaults::maintenance_retry_max));
  }
  state.maintain_at = now_of(self) + wait;
}

void arm(self_ptr self) {
  tell_later(self, defaults::heartbeat_interval, atom::tick_v, uint64_t{0});
}

void next_beat(self_ptr self) {
  ask_urgent(
    self, self->state.who.supervisor, defaults::service_status_timeout,
    [self](const service_status& status) {
      beat(self, status);
      maintain_if_due(self);
      arm(self);
    },
    [self](const caf::error&) { arm(self); }, atom::status_v);
}

} // namespace

keeper_actor::behavior_type keeper_behavior(self_ptr self, child_identity who,
                                            cluster_port_ptr port) {
  set_up_child(self, std::move(who));
  self->state.port = std::move(port);
  self->state.port->watched_by(self->state.who.activity);
  tell(self, keeper_actor{self}, atom::tick_v, uint64_t{0});
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("keeper.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("keeper.release");
      {
        activity_scope scope{*self->state.who.activity, "leaving the cluster"};
        self->state.port->leave();
      }
      leave(self, {.did = {{"beats", self->state.beats}}});
    },
    [self](atom::ping) {
      fault_point("keeper.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      return status_of(self, {.doing = !state.away.empty() ? "the database is away"
                                       : state.leads       ? "leads the maintenance"
                                                           : "idle",
                              .idle = state.away.empty() && !state.leads,
                              .progress = state.who.activity->progress(),
                              .gauges = {{"beats", state.beats}, {"leads", state.leads}},
                              .degraded = state.away,
                              .ails = "the database is away",
                              .code = ailment::database_away});
    },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::tick, uint64_t) { next_beat(self); },
    [self](atom::ask, const asked_ptr<cluster_task>& asked) {
      activity_scope scope{*self->state.who.activity, "answering a question"};
      asked->reply.answer(self->state.port->answer(asked->question));
    });
}

} // namespace phi
