#include "actors/supervisor.hpp"

#include "actors/supervisor_parts.hpp"
#include "config/defaults.hpp"
#include "protocol/errors.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>

namespace phi {

using namespace supervising;

namespace {

void start_next(self_ptr self);
void start_child(self_ptr self, size_t i);

// -- stopping -----------------------------------------------------------------------------------

/// The ledger as STATS shows it, also when it can no longer say it.
std::optional<ledger_counts> ledger_of(const supervisor_state& state) {
  for (const auto& child : state.children)
    if (auto ledgers = child.spec.seen_at->ledgers.read())
      return ledgers;
  return state.last_ledger;
}

exit_report draft(const supervisor_state& state, time_point now) {
  auto report = state.plan->report(ledger_of(state), now);
  for (size_t i = 0; i < report.actors.size(); ++i) {
    report.actors[i].seen_at = state.children[i].spec.seen_at;
    report.actors[i].waits = state.children[i].waits_at_kill;
  }
  refresh_report(report, now);
  return report;
}

/// Of those that do nothing but wait for another: for whom, and how long already.
std::vector<std::string> excuses(const supervisor_state& state) {
  std::vector<std::string> out;
  for (const auto& child : state.children) {
    out.emplace_back();
    if (child.spec.seen_at->busy())
      continue;
    for (const auto& wait : child.spec.seen_at->waits())
      out.back() += (out.back().empty() ? "waits for " : " and for ") + wait.whom + " for "
                    + show_duration(wait.for_how_long);
  }
  return out;
}

void finish(self_ptr self) {
  auto& state = self->state;
  set_state(self, service_state::stopped, "stopped");
  state.over = true;
  state.service->finished(draft(state, now_of(self)));
  for (auto& child : state.children)
    child.actor = nullptr;
  self->quit();
}

void execute(self_ptr self, const plan_actions& actions) {
  auto& state = self->state;
  for (const auto& action : actions) {
    auto& child = state.children[action.child];
    switch (action.type) {
      case plan_action::kind::stop:
        child.spec.seen_at->stop_begins();
        child.spec.seen_at->press(action.mode >= stop_mode::fast ? urge::at_once : urge::stop);
        tell_urgent(self, child.actor, atom::stop_v, stop_order{action.mode, state.plan->reason()});
        break;
      case plan_action::kind::release:
        child.spec.seen_at->press(urge::at_once);
        tell_urgent(self, child.actor, atom::release_v, release_order{action.mode});
        break;
      case plan_action::kind::kill:
        log_error("supervisor", "kills an actor",
                  {{"actor", child.spec.name}, {"doing", child.spec.seen_at->show()}});
        child.waits_at_kill = child.spec.seen_at->waits();
        kill_now(child.actor);
        break;
      case plan_action::kind::say: log(action.level, "supervisor", "says: " + action.text); break;
      case plan_action::kind::finish: return finish(self);
    }
  }
  state.service->stop_moved(draft(state, now_of(self)));
  arm_timer(self);
}

std::vector<size_t> not_living(const supervisor_state& state) {
  std::vector<size_t> out;
  for (size_t i = 0; i < state.children.size(); ++i)
    if (state.children[i].state != life::running && state.children[i].state != life::starting)
      out.push_back(i);
  return out;
}

void give_up(supervisor_state::child& child) {
  if (child.spec.given_up)
    child.spec.given_up();
}

void begin_stop(self_ptr self, stop_mode mode, stop_reason reason, const std::string& detail) {
  auto& state = self->state;
  auto now = now_of(self);
  if (mode == stop_mode::immediate)
    return state.service->leave_now();
  if (state.plan->begun()) {
    auto actions = state.plan->escalate(mode, now);
    if (!actions.empty())
      log_warn("supervisor", "escalates the stop", {{"mode", to_string(mode)}});
    return execute(self, actions);
  }
  log_info("supervisor", "begins to stop",
           {{"mode", to_string(mode)}, {"reason", to_string(reason)}, {"detail", detail}});
  refuse_reloads(self);
  for (size_t i = 0; i < state.children.size(); ++i)
    if (state.children[i].state == life::waiting_for_restart) {
      if (state.children[i].spec.needed_in_stop)
        start_child(self, i);
      else
        give_up(state.children[i]);
    }
  auto actions = state.plan->begin(mode, reason, detail, now, not_living(state));
  state.next_progress = now + defaults::stop_progress_interval;
  std::optional<time_point> hard;
  if (state.settings.stop.force)
    hard = state.plan->deadline() + state.settings.stop.force_delay;
  state.window.emplace(now, hard, state.service->manager_stop_limit(), defaults::stop_margin);
  state.service->stop_begun(draft(state, now), state.window->force_at());
  set_state(self, service_state::stopping,
            std::string{"stopping: "} + std::string{to_string(reason)});
  execute(self, actions);
}

// -- time ---------------------------------------------------------------------------------------

/// A start has its time from its last progress on: a long log that is replayed or many rows that
/// are migrated end by themselves, or by a stop.
void check_start(self_ptr self) {
  auto& state = self->state;
  auto now = now_of(self);
  for (auto& child : state.children)
    if (child.state == life::starting) {
      auto work = child.spec.seen_at->progress();
      auto doing = child.spec.name + ": " + child.spec.seen_at->show();
      if (std::exchange(state.start_work_seen, work) != work) {
        state.start_deadline = now + state.settings.start_timeout;
        set_state(self, service_state::starting, "starting: " + doing);
      }
      if (now >= state.start_deadline) {
        auto text = child.spec.name + " did not start within "
                    + show_duration(state.settings.start_timeout)
                    + ", seen in: " + child.spec.seen_at->show();
        log_error("supervisor", "gives up the start", {{"cause", text}});
        return begin_stop(self, stop_mode::graceful, stop_reason::startup_failed, text);
      }
      if (now >= state.next_progress) {
        log_info("supervisor", "waits for a start", {{"doing", doing}});
        state.next_progress = now + defaults::start_progress_interval;
      }
    }
  arm_timer(self);
}

/// Somebody must watch the watchdog: its own ping to us is the sign.
void check_watchdog(self_ptr self, time_point now) {
  auto& state = self->state;
  auto silence = state.settings.watchdog_silence;
  state.last_pinged += std::max(duration::zero(), now - state.timer_due); // we stood still as well
  if (silence == duration::zero() || now < state.last_pinged + silence)
    return;
  for (const auto& child : state.children)
    if (child.spec.name == actor_name::watchdog) {
      log_error("supervisor", "misses the watchdog",
                {{"stuck", child.spec.name},
                 {"silent", show_duration(now - state.last_pinged)},
                 {"doing", child.spec.seen_at->show()}});
      dump(self);
      tell_later(self, defaults::stuck_dump_time, atom::give_up_v, child.spec.name);
    }
  state.missed_at = state.pings;
  state.last_pinged = now; // say it once in that time
}

void on_tick(self_ptr self, uint64_t number) {
  auto& state = self->state;
  fault_point("supervisor.tick");
  if (number != state.timer)
    return;
  auto now = now_of(self);
  if (state.state == service_state::starting)
    return check_start(self);
  if (!state.plan->begun()) {
    check_watchdog(self, now);
    if (state.service->shows_status() && now >= state.next_status)
      update_status_line(self);
    return arm_timer(self);
  }
  if (state.plan->finished())
    return;
  if (now >= state.next_progress)
    log_stop_progress(self);
  execute(self, state.plan->on_time(now, excuses(state)));
}

// -- starting -----------------------------------------------------------------------------------

/// A question needs an end, and this one has it elsewhere: in its deadline, which moves, or in
/// DOWN.
constexpr auto longest_start = std::chrono::hours{24 * 365};

void start_child(self_ptr self, size_t i) {
  auto& child = self->state.children[i];
  child.state = life::starting;
  before_hand_over();
  self->state.start_work_seen = child.spec.seen_at->progress();
  child.actor = child.spec.start(supervisor_actor{self});
  watch_end(self, child.actor);
  if (child.spec.name == actor_name::watchdog)
    self->state.last_pinged = now_of(self);
  if (self->state.applied) // what it was made with may be older than the last reload
    tell_urgent_from_outside(child.actor, atom::apply_v, self->state.applied);
  // It handles messages only once it has started: its first pong is the proof.
  ask_urgent(
    self, child.actor, longest_start,
    [self, i](const pong&) {
      auto& child = self->state.children[i];
      if (child.state != life::starting)
        return;
      child.state = life::running;
      log_debug("supervisor", "has started an actor", {{"actor", child.spec.name}});
      if (self->state.state != service_state::starting)
        return;
      set_state(self, service_state::starting, "starting: " + child.spec.name + " is up");
      start_next(self);
    },
    [](const caf::error&) {}, // its DOWN says more
    atom::ping_v);
}

/// Starts the last child in the list that is not there yet; none left: ready.
void start_next(self_ptr self) {
  auto& state = self->state;
  if (state.plan->begun())
    return;
  state.start_deadline = now_of(self) + state.settings.start_timeout;
  for (size_t i = state.children.size(); i-- > 0;)
    if (state.children[i].state == life::absent)
      return start_child(self, i);
  state.last_pinged = now_of(self);
  set_state(self, service_state::ready, "ready");
  if (state.service->shows_status())
    update_status_line(self);
  arm_timer(self);
  reload_if_waiting(self);
}

void restart_child(self_ptr self, uint32_t i) {
  auto& state = self->state;
  if (state.plan->begun() || state.children[i].state != life::waiting_for_restart)
    return;
  ++state.children[i].restarts;
  log_info("supervisor", "starts an actor again",
           {{"actor", state.children[i].spec.name}, {"restarts", state.children[i].restarts}});
  start_child(self, i);
}

void child_died(self_ptr self, size_t i, const std::string& why) {
  auto& state = self->state;
  auto& child = state.children[i];
  log_error("supervisor", "loses an actor", {{"actor", child.spec.name}, {"cause", why}});
  child.actor = nullptr;
  child.state = life::gone;
  if (state.state == service_state::starting) {
    give_up(child); // who is there already may wait for it
    return begin_stop(self, stop_mode::graceful, stop_reason::startup_failed,
                      child.spec.name + ": " + why);
  }
  if (child.spec.restartable)
    if (auto wait = state.restarts.on_death(now_of(self))) {
      child.state = life::waiting_for_restart;
      return tell_later(self, *wait, atom::restart_v, static_cast<uint32_t>(i));
    }
  give_up(child);
  begin_stop(self, stop_mode::graceful, stop_reason::child_died, child.spec.name + ": " + why);
}

void child_is_gone(self_ptr self, const caf::down_msg& down) {
  auto& state = self->state;
  auto at = std::find_if(state.children.begin(), state.children.end(), [&](const auto& child) {
    return child.actor && child.actor.address() == down.source;
  });
  if (at == state.children.end())
    return;
  auto i = static_cast<size_t>(at - state.children.begin());
  auto ended = down.reason ? outcome::failure(render(self->system(), down.reason)) : outcome{};
  if (!state.plan->begun())
    return child_died(self, i, ended ? "left without being told" : ended.why());
  at->state = life::gone;
  at->actor = nullptr;
  give_up(*at);
  execute(self, state.plan->on_down(i, ended, now_of(self)));
}

void on_stopped(self_ptr self, const stopped_report& report) {
  auto& state = self->state;
  if (report.ledger)
    state.last_ledger = report.ledger;
  for (size_t i = 0; i < state.children.size(); ++i)
    if (state.children[i].spec.name == report.actor)
      return execute(self, state.plan->on_stopped(i, report, now_of(self)));
  log_warn("supervisor", "hears an unknown actor", {{"actor", report.actor}});
}

void set_lame_duck(self_ptr self, bool on) {
  auto& state = self->state;
  auto from = on ? service_state::ready : service_state::lame_duck;
  if (state.reloading) {
    state.after_reload = on ? service_state::lame_duck : service_state::ready;
    return;
  }
  if (state.state != from)
    return log_warn("supervisor", "ignores lame duck", {{"state", to_string(state.state)}});
  set_state(self, on ? service_state::lame_duck : service_state::ready, on ? "lame duck" : "ready");
}

} // namespace

supervisor_state::~supervisor_state() {
  if (!over && service)
    service->supervisor_died(cause.empty() ? "it was ended from outside" : cause,
                             draft(*this, clock::now()));
}

void supervising::arm_timer(self_ptr self) {
  auto& state = self->state;
  std::optional<time_point> next;
  auto consider = [&](time_point t) { next = next ? std::min(*next, t) : t; };
  if (state.state == service_state::starting)
    consider(std::min(state.start_deadline, now_of(self) + defaults::start_check_interval));
  else if (!state.plan->begun()) {
    if (state.service->shows_status())
      consider(state.next_status);
    if (state.settings.watchdog_silence > duration::zero())
      consider(state.last_pinged + state.settings.watchdog_silence);
  }
  if (state.plan->begun() && !state.plan->finished()) {
    consider(state.next_progress);
    if (auto wakeup = state.plan->next_wakeup())
      consider(*wakeup);
  }
  if (!next)
    return;
  state.timer_due = *next;
  tell_later(self, std::max(duration::zero(), *next - now_of(self)), atom::tick_v, ++state.timer);
}

supervisor_settings supervisor_settings_of(const config& settings, duration watchdog_silence) {
  const auto& s = settings.shutdown;
  return {.stop = {.timeout = std::chrono::seconds{s.timeout_secs},
                   .force = s.force_quit,
                   .force_delay = std::chrono::seconds{s.force_delay_secs},
                   .drain_delay = std::chrono::milliseconds{settings.server.drain_delay_ms}},
          .start_timeout = std::chrono::seconds{s.start_timeout_secs},
          .restarts = {.limit = static_cast<size_t>(s.restart_limit),
                       .window = std::chrono::seconds{s.restart_window_secs},
                       .first_wait = defaults::restart_backoff,
                       .longest_wait = defaults::restart_backoff_max},
          .watchdog_silence = watchdog_silence};
}

supervisor_actor::behavior_type supervisor_behavior(self_ptr self, std::vector<child_spec> children,
                                                    supervisor_settings settings,
                                                    service_port_ptr service, activity_ptr own) {
  after_hand_over();
  auto& state = self->state;
  state.who = {actor_name::supervisor, {}, std::move(own)};
  name_actor(self->id(), state.who.name);
  die_of_exceptions_aloud(self, static_cast<uint8_t>(error_code::actor_failed),
                          [self](const std::string& text) { self->state.cause = text; });
  on_down(self, [self](const caf::down_msg& down) { child_is_gone(self, down); });
  for (auto& spec : children)
    state.children.push_back({.spec = std::move(spec)});
  apply_settings(self, settings);
  state.service = std::move(service);
  state.started_at = now_of(self);
  state.next_progress = state.started_at + defaults::start_progress_interval;
  set_state(self, service_state::starting, "starting");
  start_next(self);
  arm_timer(self);
  return handlers(
    self,
    [self](atom::terminate, stop_mode mode, stop_reason reason) {
      if (mode == stop_mode::lame_duck)
        return set_lame_duck(self, true);
      begin_stop(self, mode, reason, {});
    },
    [self](atom::lame_duck, bool on) { set_lame_duck(self, on); },
    [self](atom::lame_duck) {
      set_lame_duck(self, (self->state.reloading ? self->state.after_reload : self->state.state)
                            == service_state::ready);
    },
    [self](atom::dump) { dump(self); },
    [self](atom::stopped, const stopped_report& report) { on_stopped(self, report); },
    [self](atom::status) {
      auto promise = self->make_response_promise<service_status>();
      ask_everybody(
        self, [promise](service_status status) mutable { promise.deliver(std::move(status)); });
      return promise;
    },
    [self](atom::ping) {
      fault_point("supervisor.ping");
      self->state.last_pinged = now_of(self);
      ++self->state.pings;
      return pong_of(self->state.who);
    },
    [self](atom::plan) {
      auto forecast = self->state.plan->forecast();
      forecast.manager = self->state.service->manager_stop_limit();
      return forecast;
    },
    [self](atom::reload) {
      auto promise = self->make_response_promise<reload_report>();
      reload(self, promise);
      return promise;
    },
    [self](atom::tick, uint64_t number) { on_tick(self, number); },
    [self](atom::give_up, const std::string& name) {
      auto& state = self->state;
      if (state.missed_at == state.pings && !state.plan->begun())
        state.service->stuck(name);
    },
    [self](atom::restart, uint32_t i) { restart_child(self, i); });
}

} // namespace phi
