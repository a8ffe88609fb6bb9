#include "actors/supervisor_parts.hpp"
#include "config/defaults.hpp"

#include <memory>
#include <utility>

namespace phi::supervising {
namespace {

/// One reload under way: whom it answers, and what is to be said.
struct reload_round {
  std::vector<promise_of<reload_report>> served;
  reload_report report;
  size_t open = 0;
};

using round_ptr = std::shared_ptr<reload_round>;

void log_reload(const reload_report& report) {
  if (!report.accepted)
    return log_error("supervisor", "keeps its settings: " + report.accepted.why());
  for (const auto& warning : report.warnings)
    log_warn("supervisor", "warns: " + warning);
  for (const auto& change : report.changed)
    log_info("supervisor", "applies a setting", {{"change", change}});
  for (const auto& change : report.needs_restart)
    log_warn("supervisor", "needs a restart for a setting", {{"change", change}});
  log_info("supervisor", "has reloaded",
           {{"changed", report.changed.size()}, {"need_restart", report.needs_restart.size()}});
}

void finish(self_ptr self, const round_ptr& round) {
  auto& state = self->state;
  log_reload(round->report);
  state.reloading = false;
  if (!state.plan->begun())
    set_state(self, state.after_reload, std::string{to_string(state.after_reload)});
  for (auto& promise : round->served)
    promise.deliver(round->report);
  reload_if_waiting(self);
}

void close_one(self_ptr self, const round_ptr& round) {
  if (--round->open == 0)
    finish(self, round);
}

/// One message to each child: for every one of them the settings change between two messages.
void hand_out(self_ptr self, const config_ptr& next, const round_ptr& round) {
  auto& state = self->state;
  round->open = 1;
  for (const auto& child : state.children) {
    if (child.state == life::starting) // nobody waits for it; it applies them before all else
      tell_urgent_from_outside(child.actor, atom::apply_v, next);
    if (child.state != life::running)
      continue;
    ++round->open;
    ask_urgent(
      self, child.actor, defaults::apply_timeout,
      [self, round](const pong&) { close_one(self, round); },
      [self, round, name = child.spec.name, seen_at = child.spec.seen_at](const caf::error&) {
        round->report.warnings.push_back(name + " has not applied the settings yet ("
                                         + seen_at->show() + ")");
        close_one(self, round);
      },
      atom::apply_v, next);
  }
  close_one(self, round);
}

void use_plan(self_ptr self, const config& next) {
  auto& state = self->state;
  for (auto& child : state.children)
    if (child.spec.budget_of)
      child.spec.budget = child.spec.budget_of(next);
  bool was_off = state.settings.watchdog_silence == duration::zero();
  apply_settings(self, supervisor_settings_of(next, state.service->watchdog_silence(next)));
  if (was_off)
    state.last_pinged = now_of(self);
  arm_timer(self); // for a watchdog that was switched on
}

void begin(self_ptr self) {
  auto& state = self->state;
  auto round = std::make_shared<reload_round>();
  round->served = std::exchange(state.reloads_waiting, {});
  state.after_reload = state.state;
  state.reloading = true;
  set_state(self, service_state::reloading, "reloading");
  auto prepared = state.service->prepare_reload();
  round->report = std::move(prepared.report);
  if (!prepared.next)
    return finish(self, round);
  state.service->apply_settings(prepared.next);
  state.applied = prepared.next;
  use_plan(self, *prepared.next);
  hand_out(self, prepared.next, round);
}

} // namespace

void apply_settings(self_ptr self, const supervisor_settings& settings) {
  auto& state = self->state;
  std::vector<shutdown_plan::child> children;
  for (const auto& child : state.children)
    children.push_back({child.spec.name, child.spec.budget, child.spec.users, child.spec.spared});
  state.settings = settings;
  state.plan.emplace(std::move(children), settings.stop);
  state.restarts.apply_settings(settings.restarts);
}

void reload(self_ptr self, promise_of<reload_report> asked_by) {
  auto& state = self->state;
  state.reloads_waiting.push_back(std::move(asked_by));
  if (state.plan->begun())
    return refuse_reloads(self);
  reload_if_waiting(self);
}

void reload_if_waiting(self_ptr self) {
  auto& state = self->state;
  if (!state.reloads_waiting.empty() && !state.reloading && !state.plan->begun()
      && state.state != service_state::starting)
    begin(self);
}

void refuse_reloads(self_ptr self) {
  for (auto& promise : std::exchange(self->state.reloads_waiting, {}))
    promise.deliver(reload_report{.accepted = outcome::failure("the service is stopping")});
}

} // namespace phi::supervising
