#include "actors/watchdog.hpp"

#include "config/defaults.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>

namespace phi {
namespace {

using self_ptr = watchdog_actor::stateful_pointer<watchdog_state>;

/// Parts that are no actors and owe a sign of life.
std::vector<health_quorum::late_member> late_outside(self_ptr self) {
  const auto& state = self->state;
  std::vector<health_quorum::late_member> out;
  for (const auto& part : state.seen.outside)
    if (!part.busy && part.silent >= state.settings.interval)
      out.push_back({part.name, part.silent, {}, part.silent >= state.settings.limit});
  return out;
}

/// Everybody who owes an answer, actors or not.
std::vector<health_quorum::late_member> late_ones(self_ptr self) {
  auto late = self->state.quorum.late(now_of(self));
  for (auto& part : late_outside(self))
    late.push_back(std::move(part));
  return late;
}

/// All is well once every ping of the round is answered, or whoever has not answered makes
/// progress or lacks a processor.
void report_alive(self_ptr self) {
  auto& state = self->state;
  if (!state.owes_beat || !late_outside(self).empty())
    return;
  state.owes_beat = false;
  log_debug("watchdog", "beats: everybody has answered or makes progress",
            {{"asked", state.members.size()}});
  state.port->beat();
}

void send_ping(self_ptr self, const std::string& name, const pingable_actor& actor) {
  const auto& state = self->state;
  ask_urgent(
    self, actor, state.settings.limit,
    [self, name](const pong& answer) {
      auto& state = self->state;
      state.quorum.answered(name, answer.progress, now_of(self));
      if (state.quorum.complete())
        report_alive(self);
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

void ping_everybody(self_ptr self) {
  auto& state = self->state;
  state.owes_beat = true;
  for (const auto& [name, member] : state.members)
    if (!state.quorum.pending(name)) {
      state.quorum.pinged(name);
      send_ping(self, name, member.actor);
    }
}

/// What can be seen of everybody without asking.
void check_members(self_ptr self, health_quorum& by) {
  auto& state = self->state;
  for (const auto& [name, member] : state.members) {
    auto times = state.port->times_of(member.seen_at->thread());
    by.seen(name, member.seen_at->progress(), times ? times->waited : duration::zero(),
            now_of(self));
  }
}

std::string doing_of(self_ptr self, const std::string& name) {
  const auto& state = self->state;
  for (const auto& part : state.seen.outside)
    if (part.name == name)
      return part.doing.empty() ? "not an actor" : part.doing;
  auto at = state.members.find(name);
  return at == state.members.end() ? "?" : at->second.seen_at->show();
}

/// Everybody's activity, the supervisor's too, for it may be the one that is stuck.
void dump(self_ptr self, const std::string& stuck) {
  auto& state = self->state;
  for (const auto& [name, member] : state.members) {
    auto times = state.port->times_of(member.seen_at->thread());
    log_fields fields{{"seen", name}, {"doing", member.seen_at->show()}};
    if (times) {
      fields.emplace_back("ran_ms", times->ran / std::chrono::milliseconds{1});
      fields.emplace_back("waited_for_cpu_ms", times->waited / std::chrono::milliseconds{1});
    }
    log_error("watchdog", "dumps an actor", fields);
  }
  if (stuck != actor_name::supervisor)
    tell_urgent(self, state.who.supervisor, atom::dump_v);
}

void report_stuck(self_ptr self, const std::string& name, duration silent) {
  auto& state = self->state;
  if (state.gave_up)
    return;
  state.gave_up = now_of(self);
  log_error("watchdog", "finds an actor stuck",
            {{"stuck", name}, {"silent", show_duration(silent)}});
  dump(self, name);
  tell_later(self, defaults::stuck_dump_time, atom::give_up_v, name);
}

/// Who answered, or made progress, while its state was written down has had its last chance in
/// time.
void give_up_if_stuck(self_ptr self, const std::string& name) {
  auto& state = self->state;
  if (!state.gave_up)
    return;
  check_members(self, state.quorum);
  if (!state.stopping)
    state.seen.outside = state.port->inspect_parts();
  for (const auto& late : late_ones(self))
    if (late.name == name && late.stuck)
      return state.port->give_up(name);
  state.gave_up.reset();
  log_info("watchdog", "lets an actor be that has answered in time", {{"actor", name}});
}

void report_late(self_ptr self) {
  auto& state = self->state;
  std::string shown;
  auto late = late_ones(self);
  for (const auto& [name, silent, starved, stuck] : late) {
    auto doing = doing_of(self, name);
    log_fields fields{{"late", name}, {"silent", show_duration(silent)}, {"doing", doing}};
    if (starved > duration::zero())
      fields.emplace_back("starved", show_duration(starved));
    log_warn("watchdog", "misses an answer", fields);
    shown += (shown.empty() ? "" : ", ") + name + " has not answered for " + show_duration(silent)
             + " (" + doing + ")";
    if (stuck)
      report_stuck(self, name, silent);
  }
  if (late.empty())
    state.gave_up.reset();
  if (shown != state.shown) {
    state.shown = shown;
    state.port->show_late(shown);
  }
}

/// A round that begins late shows that the whole process stood still, or had no processor.
void notice_standstill(self_ptr self) {
  auto& state = self->state;
  if (auto lateness = now_of(self) - state.due; lateness >= state.settings.interval / 2) {
    log_warn("watchdog", "stood still", {{"for", show_duration(lateness)}});
    state.quorum.stood_still(lateness);
  }
  auto suspended = state.port->suspended();
  if (suspended - state.suspended >= std::chrono::seconds{1})
    log_info("watchdog", "notices that the machine was suspended",
             {{"for", show_duration(suspended - state.suspended)}});
  state.suspended = suspended;
}

void arm(self_ptr self) {
  auto& state = self->state;
  state.due = now_of(self) + state.settings.interval;
  tell_later(self, state.settings.interval, atom::tick_v, ++state.timer);
}

void next_round(self_ptr self) {
  auto& state = self->state;
  fault_point("watchdog.tick");
  ++state.rounds;
  notice_standstill(self);
  check_members(self, state.quorum);
  report_late(self);
  if (state.shown.empty())
    report_alive(self); // those who have not answered are excused
  ping_everybody(self);
  arm(self);
}

// -- the health of the whole --------------------------------------------------------------------

void publish_health(self_ptr self) {
  auto& state = self->state;
  if (state.stopping)
    return;
  auto now = now_of(self);
  state.seen.late.clear();
  for (auto& late : state.signs.late(now))
    state.seen.late.emplace_back(late, doing_of(self, late.name));
  auto view = judge(state.seen);
  auto told = state.changes.compare(view, now);
  for (const auto& cause : told.begun)
    log_warn("watchdog", "finds the service degraded", {{"cause", cause.text(true)}});
  if (told.over)
    log_info("watchdog", "finds the service well again",
             {{"degraded_for", show_duration(told.lasted)}});
  state.port->show_health(view);
}

/// Asks the supervisor how everybody is; who is not among those that told it owes an answer.
void ask_for_signs(self_ptr self) {
  auto& state = self->state;
  if (std::exchange(state.asked, true))
    return;
  for (const auto& [name, member] : state.members)
    state.signs.pinged(name);
  ask_urgent(
    self, state.who.supervisor, defaults::service_status_timeout,
    [self](const service_status& status) {
      auto& state = self->state;
      state.asked = false;
      auto now = now_of(self);
      state.signs.answered(actor_name::supervisor, 0, now);
      for (const auto& child : status.children)
        if (child.says)
          state.signs.answered(child.actor, child.says->progress, now);
        else if (child.state != actor_state::running)
          state.signs.forget(child.actor); // not there: its state says so
      state.seen.status = status;
      publish_health(self);
    },
    [self](const caf::error&) {
      self->state.asked = false;
      publish_health(self);
    },
    atom::status_v);
}

void check_health(self_ptr self) {
  auto& state = self->state;
  fault_point("watchdog.check");
  if (state.stopping)
    return;
  auto lateness = now_of(self) - state.check_due;
  bool in_time = lateness < defaults::health_interval / 2;
  if (!in_time)
    state.signs.stood_still(lateness);
  check_members(self, state.signs);
  auto outside = state.port->inspect_parts();
  if (in_time) // what stood still with all of us is asked once more
    state.seen.outside = std::move(outside);
  ask_for_signs(self);
  state.check_due = now_of(self) + defaults::health_interval;
  tell_later(self, defaults::health_interval, atom::check_v);
}

void apply_settings(self_ptr self, const watchdog_settings& settings) {
  auto& state = self->state;
  auto before = std::exchange(state.settings, settings);
  state.quorum.set_limits(settings.interval, settings.limit);
  if (!settings.enabled)
    ++state.timer; // the one under way is stale
  else if (!before.enabled || before.interval != settings.interval)
    arm(self);
}

} // namespace

watchdog_settings watchdog_settings_of(const config& settings,
                                       std::optional<duration> manager_limit) {
  const auto& w = settings.shutdown.watchdog;
  watchdog_settings out{w.enabled, std::chrono::seconds{w.interval_secs},
                        std::chrono::seconds{w.timeout_secs}};
  if (manager_limit) {
    // Found stuck at the latest an interval after the limit, and then there is the dump to write:
    // that leaves an interval until the manager acts by itself.
    out.enabled = true;
    out.interval = std::min(out.interval, *manager_limit / 4);
    out.limit = std::min(out.limit, *manager_limit - 2 * out.interval - defaults::stuck_dump_time);
    out.limit = std::max(out.limit, out.interval);
  }
  return out;
}

watchdog_actor::behavior_type watchdog_behavior(self_ptr self, child_identity who,
                                                watchdog_settings settings, watch_port_ptr port,
                                                std::map<std::string, activity_ptr> activities) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  state.activities = std::move(activities);
  state.suspended = state.port->suspended();
  apply_settings(self, settings);
  state.signs.set_limits(defaults::health_patience, defaults::health_patience);
  state.seen.patience = defaults::health_patience;
  state.check_due = now_of(self);
  tell(self, watchdog_actor{self}, atom::check_v);
  return handlers(
    self,
    [self](atom::stop, const stop_order&) {
      fault_point("watchdog.stop");
      self->state.stopping = true;
      // Nobody is accepted any more: the stop has limits of its own.
      self->state.seen.outside.clear();
      self->state.port->rest();
    },
    [self](atom::release, const release_order&) {
      fault_point("watchdog.release");
      leave(self, {.did = {{"rounds", self->state.rounds}}});
    },
    [self](atom::ping) { return pong_of(self->state.who); },
    [self](atom::status) {
      const auto& state = self->state;
      auto late = state.quorum.late(now_of(self)).size();
      return status_of(self, {.doing = !state.settings.enabled ? "off"
                                       : late == 0             ? "all healthy"
                                                               : std::to_string(late) + " late",
                              .idle = !state.settings.enabled || late == 0,
                              .progress = state.who.activity->progress(),
                              .gauges = {{"rounds", state.rounds}, {"late", late}}});
    },
    [self](atom::apply, const config_ptr& settings) {
      apply_settings(self, watchdog_settings_of(*settings, self->state.port->manager_limit()));
      return pong_of(self->state.who);
    },
    [self](atom::tick, uint64_t number) {
      if (number == self->state.timer)
        next_round(self);
    },
    [self](atom::check) { check_health(self); },
    [self](atom::attach, const std::string& name, const pingable_actor& actor) {
      auto& state = self->state;
      auto seen_at = state.activities.find(name);
      if (seen_at == state.activities.end())
        return;
      state.members[name] = {actor, seen_at->second};
      state.quorum.watch(name, now_of(self));
      state.signs.watch(name, now_of(self));
    },
    [self](atom::give_up, const std::string& name) { give_up_if_stuck(self, name); });
}

} // namespace phi
