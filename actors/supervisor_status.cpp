#include "actors/status_line.hpp"
#include "actors/supervisor_parts.hpp"
#include "config/defaults.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>
#include <memory>

namespace phi::supervising {
namespace {

actor_state state_of(const supervisor_state& state, size_t i) {
  switch (state.children[i].state) {
    case life::absent: return actor_state::absent;
    case life::starting: return actor_state::starting;
    case life::running: return state.plan->begun() ? actor_state::stopping : actor_state::running;
    case life::waiting_for_restart: return actor_state::restarting;
    case life::gone: return actor_state::gone;
  }
  return actor_state::absent;
}

/// One round of `status` through all children; `then` gets what came within the time-out.
struct status_round {
  service_status status;
  size_t open = 0;
  std::function<void(service_status)> then;
};

service_status own_status(self_ptr self) {
  const auto& state = self->state;
  service_status out{
    .state = state.state, .uptime = now_of(self) - state.started_at, .ledger = state.last_ledger};
  if (state.plan->begun()) {
    out.mode = state.plan->mode();
    out.reason = state.plan->reason();
  }
  for (size_t i = 0; i < state.children.size(); ++i)
    out.children.push_back({.actor = state.children[i].spec.name,
                            .state = state_of(state, i),
                            .restarts = state.children[i].restarts,
                            .waits = state.children[i].spec.seen_at->waits()});
  return out;
}

/// The end that counts: "28.1 s to the deadline", or what comes before it or after.
std::string countdown(const supervisor_state& state, time_point now) {
  auto deadline = state.plan->deadline();
  auto forced = state.window ? state.window->force_at() : std::nullopt;
  if (forced && *forced < deadline)
    return show_duration(*forced - now) + " to the forced exit, before the service manager kills";
  if (now < deadline)
    return show_duration(deadline - now) + " to the deadline";
  return show_duration(now - deadline) + " past the deadline"
         + (forced ? ", " + show_duration(*forced - now) + " to the forced exit" : "");
}

/// "draining: stats: 4100 events queued, about 0.3 s; 28.1 s to the deadline"
std::string progress_text(self_ptr self, const service_status& status) {
  auto& state = self->state;
  std::string out = "draining: ";
  for (auto i : state.plan->holders()) {
    const auto& child = status.children[i];
    out += child.actor + ": ";
    out += child.says ? child.says->doing
                      : "no answer, seen in: " + state.children[i].spec.seen_at->show();
    if (child.says && child.says->backlog_s > 0)
      out += ", about "
             + show_duration(std::chrono::duration_cast<duration>(
               std::chrono::duration<double>{child.says->backlog_s}));
    out += "; ";
  }
  return out + countdown(state, now_of(self));
}

/// Whether the stop has got on since the last look: a child has gone, or those who hold the exit
/// have finished something. What they had done before the stop is none of it.
bool has_moved(self_ptr self, const service_status& status) {
  auto& state = self->state;
  auto gone =
    static_cast<size_t>(std::count_if(state.children.begin(), state.children.end(),
                                      [](const auto& child) { return child.state == life::gone; }));
  uint64_t work = 0;
  for (auto i : state.plan->holders())
    if (const auto& says = status.children[i].says)
      work += says->progress;
  bool moved = gone > std::exchange(state.gone_seen, gone);
  auto before = std::exchange(state.work_seen, work);
  return moved || (before && work > *before);
}

void extend_if_moved(self_ptr self, const service_status& status) {
  auto& state = self->state;
  if (!has_moved(self, status) || !state.window)
    return;
  if (auto more = state.window->progressed(now_of(self)))
    state.service->stop_extended(*more, state.window->force_at());
}

} // namespace

void set_state(self_ptr self, service_state state, const std::string& text) {
  self->state.state = state;
  self->state.service->state_changed(state, text);
}

void ask_everybody(self_ptr self, std::function<void(service_status)> then) {
  auto& state = self->state;
  auto round = std::make_shared<status_round>();
  round->status = own_status(self);
  round->then = std::move(then);
  round->open = 1;
  auto close_one = [round] {
    if (--round->open == 0)
      round->then(std::move(round->status));
  };
  for (size_t i = 0; i < state.children.size(); ++i) {
    if (state.children[i].state != life::running)
      continue;
    ++round->open;
    ask_urgent(
      self, state.children[i].actor, defaults::status_answer_timeout,
      [round, i, close_one](const actor_status& says) {
        round->status.children[i].says = says;
        if (says.ledger)
          round->status.ledger = says.ledger;
        close_one();
      },
      [close_one](const caf::error&) { close_one(); }, atom::status_v);
  }
  close_one();
}

void dump(self_ptr self) {
  if (std::exchange(self->state.dumping, true))
    return;
  log_info("supervisor", "dumps the state", {{"state", to_string(self->state.state)}});
  ask_everybody(self, [self](const service_status& status) {
    self->state.dumping = false;
    for (size_t i = 0; i < status.children.size(); ++i) {
      const auto& child = status.children[i];
      const auto& seen_at = self->state.children[i].spec.seen_at;
      log_fields fields{{"actor", child.actor}, {"state", to_string(child.state)}};
      fields.emplace_back("doing", child.says ? child.says->doing
                                              : "no answer, seen in: " + seen_at->show());
      if (child.says)
        for (const auto& [name, count] : child.says->gauges)
          fields.emplace_back(name, count);
      log_info("supervisor", "dumps an actor", fields);
    }
    if (const auto& ledger = status.ledger)
      log_info("supervisor", "dumps the ledger",
               {{"received", ledger->received},
                {"stored", ledger->stored},
                {"duplicates", ledger->duplicates},
                {"rejected", ledger->rejected},
                {"spooled", ledger->spooled},
                {"set_aside", ledger->set_aside},
                {"in_queue", ledger->in_queue},
                {"balanced", ledger->balanced()}});
  });
}

void log_stop_progress(self_ptr self) {
  auto& state = self->state;
  auto every = duration{defaults::stop_progress_interval};
  if (auto limit = state.service->manager_stop_limit())
    every = std::min(every, *limit / 4);
  state.next_progress = now_of(self) + every;
  ask_everybody(self, [self](const service_status& status) {
    if (self->state.plan->finished())
      return;
    extend_if_moved(self, status);
    auto text = progress_text(self, status);
    log_info("supervisor", text);
    self->state.service->state_changed(service_state::stopping, text);
  });
}

void update_status_line(self_ptr self) {
  auto& state = self->state;
  state.next_status = now_of(self) + defaults::status_line_interval;
  ask_everybody(self, [self](const service_status& status) {
    auto& state = self->state;
    if (state.plan->begun() || state.state == service_state::starting)
      return;
    state.service->state_changed(state.state, state.line.show(status, now_of(self)));
  });
}

} // namespace phi::supervising
