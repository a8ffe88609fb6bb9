#include "actors/maintenance.hpp"

#include "actors/log.hpp"

#include <algorithm>
#include <utility>

namespace phi {
namespace {

using self_ptr = maintenance_actor::stateful_pointer<maintenance_state>;

void lead(self_ptr self, bool leads) {
  auto& state = self->state;
  if (leads)
    state.leads_until = now_of(self) + defaults::duty_lease;
  if (std::exchange(state.leads, leads) == leads)
    return;
  log_info("maintenance", leads ? "takes over the maintenance" : "leaves the maintenance");
  if (leads)
    return;
  state.port->close();
  state.uncounted_bytes = 0; // another instance knows it now
}

void step(self_ptr self) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "maintaining the database"};
  fault_point("maintenance.step");
  auto [did, warning, ended, uncounted_bytes] = state.port->step();
  state.uncounted_bytes = uncounted_bytes;
  if (!did.empty()) {
    ++state.steps;
    log_info("maintenance", "maintains the database", {{"did", did}});
  }
  if (!warning.empty())
    log_warn("maintenance", "finds something in the database", {{"what", warning}});
  // While there is something to do, step after step; else now and then. What cannot be done is
  // tried less and less often: each try may make others wait for a lock.
  duration wait = did.empty() ? defaults::maintenance_interval : defaults::maintenance_step;
  if (ended) {
    state.retry = defaults::maintenance_retry;
  } else {
    log_warn("maintenance", "cannot maintain the database now",
             {{"cause", ended.why()}, {"again_after_s", state.retry / std::chrono::seconds{1}}});
    wait = std::exchange(state.retry,
                         std::min<duration>(state.retry * 2, defaults::maintenance_retry_max));
  }
  state.due = now_of(self) + wait;
}

/// The timer comes after what was told during a step, so that the next one knows it.
void find_work(self_ptr self) {
  auto& state = self->state;
  if (state.leads && now_of(self) >= state.leads_until)
    lead(self, false); // nobody has renewed the duty: another may have it by now
  if (state.leads && now_of(self) >= state.due)
    step(self);
  tell_later(self, defaults::heartbeat_interval, atom::tick_v);
}

/// What cannot be counted now is counted later: questions read the rows until then.
void count(self_ptr self) {
  auto& state = self->state;
  bool more = false;
  if (state.leads && now_of(self) < state.leads_until) {
    activity_scope scope{*state.who.activity, "counting events"};
    fault_point("maintenance.count");
    auto counted = state.port->count();
    more = counted.more;
    if (!counted.did.empty())
      log_info("maintenance", "counts events", {{"did", counted.did}});
    if (!counted.ended && state.can_count)
      log_warn("maintenance", "cannot count events now; questions read them one by one",
               {{"cause", counted.ended.why()}});
    state.can_count = static_cast<bool>(counted.ended);
  }
  if (more)
    tell(self, maintenance_actor{self}, atom::check_v);
  else
    tell_later(self, defaults::count_interval, atom::check_v);
}

} // namespace

maintenance_actor::behavior_type maintenance_behavior(self_ptr self, child_identity who,
                                                      maintenance_port_ptr port) {
  set_up_child(self, std::move(who));
  self->state.port = std::move(port);
  self->state.port->watched_by(self->state.who.activity);
  tell(self, maintenance_actor{self}, atom::tick_v);
  tell(self, maintenance_actor{self}, atom::check_v);
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("maintenance.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("maintenance.release");
      self->state.port->close();
      leave(self, {.did = {{"steps", self->state.steps}}});
    },
    [self](atom::ping) {
      fault_point("maintenance.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      return status_of(self, {.doing = state.leads ? "leads the maintenance" : "idle",
                              .idle = true, // between two steps
                              .progress = state.who.activity->progress(),
                              .gauges = {{"steps", state.steps},
                                         {"leads", state.leads},
                                         {gauge_name::uncounted_bytes, state.uncounted_bytes}}});
    },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::tick) { find_work(self); }, [self](atom::check) { count(self); },
    [self](atom::lead, bool leads) { lead(self, leads); });
}

} // namespace phi
