#include "actors/shutdown_plan.hpp"

#include "protocol/text/duration.hpp"

#include <algorithm>

namespace phi {

using kind = plan_action::kind;

namespace {

plan_action say(log_level level, std::string text) {
  return {.type = kind::say, .level = level, .text = std::move(text)};
}

std::string excuse_of(const std::vector<std::string>& excuses, size_t child) {
  return child < excuses.size() ? excuses[child] : std::string{};
}

std::optional<duration> since(const std::optional<time_point>& t, time_point t0) {
  return t ? std::optional{*t - t0} : std::nullopt;
}

} // namespace

shutdown_plan::shutdown_plan(std::vector<child> children, settings chosen)
  : children_(std::move(children)),
    settings_(chosen),
    states_(children_.size()) {}

plan_actions shutdown_plan::begin(stop_mode mode, stop_reason reason, std::string detail,
                                  time_point now, const std::vector<size_t>& not_started) {
  if (begun_)
    return escalate(mode, now);
  begun_ = true;
  mode_ = mode;
  reason_ = reason;
  detail_ = std::move(detail);
  t0_ = now;
  for (auto i : not_started)
    states_[i].state = phase::gone;
  plan_actions out;
  bool listens = reason_ != stop_reason::startup_failed;
  if (listens && settings_.drain_delay > duration::zero() && mode_ == stop_mode::graceful)
    out.push_back(
      say(log_level::info, "keeps accepting for " + show_duration(settings_.drain_delay)));
  else
    broadcast(out, now);
  return out;
}

plan_actions shutdown_plan::escalate(stop_mode mode, time_point now) {
  plan_actions out;
  if (!begun_ || finished_ || mode <= mode_)
    return out;
  mode_ = mode;
  if (mode_ == stop_mode::immediate)
    reason_ = stop_reason::user_forced;
  broadcast(out, now);
  for (size_t i = 0; i < states_.size(); ++i)
    if (states_[i].state == phase::released)
      out.push_back({.type = kind::release, .child = i, .mode = mode_});
  return out;
}

void shutdown_plan::broadcast(plan_actions& out, time_point now) {
  broadcast_done_ = true;
  for (size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].state == phase::gone)
      continue;
    if (!states_[i].stop_sent)
      states_[i].stop_sent = now;
    out.push_back({.type = kind::stop, .child = i, .mode = mode_});
  }
  release_ready(out, now);
  finish_if_done(out);
}

bool shutdown_plan::out_of_the_way(size_t child) const {
  // A killed child handles no further message, so it no longer needs those who serve it.
  return states_[child].state == phase::gone || states_[child].state == phase::killed;
}

void shutdown_plan::release_ready(plan_actions& out, time_point now) {
  for (size_t i = 0; i < states_.size(); ++i) {
    const auto& users = children_[i].users;
    if (states_[i].state != phase::waiting
        || !std::all_of(users.begin(), users.end(), [&](size_t u) { return out_of_the_way(u); }))
      continue;
    states_[i].state = phase::released;
    states_[i].released = now;
    auto mode = deadline_passed_ ? std::max(mode_, stop_mode::fast) : mode_;
    out.push_back({.type = kind::release, .child = i, .mode = mode});
  }
}

plan_actions shutdown_plan::on_stopped(size_t child, stopped_report report, time_point now) {
  plan_actions out;
  auto& state = states_[child];
  if (state.stopped) {
    out.push_back(
      say(log_level::warn, children_[child].name + " reported twice; the first counts"));
    return out;
  }
  state.stopped = now;
  if (!report.ended) {
    state.trouble = report.ended.why();
    state.trouble_code = exit_trouble::failed;
  }
  state.report = std::move(report);
  return out;
}

plan_actions shutdown_plan::on_down(size_t child, const outcome& ended, time_point now) {
  plan_actions out;
  auto& state = states_[child];
  if (state.state == phase::gone)
    return out;
  bool was_killed = state.state == phase::killed;
  state.state = phase::gone;
  state.gone = now;
  if (!state.stopped && !was_killed) {
    state.trouble = ended ? "left without a report" : ended.why();
    state.trouble_code = exit_trouble::died;
    out.push_back(
      say(log_level::error, children_[child].name + " died in the stop: " + state.trouble));
  }
  if (was_killed && state.trouble_code == exit_trouble::none) {
    state.trouble = "killed";
    state.trouble_code = exit_trouble::killed;
  }
  if (broadcast_done_)
    release_ready(out, now);
  finish_if_done(out);
  return out;
}

void shutdown_plan::finish_if_done(plan_actions& out) {
  if (finished_ || !std::all_of(states_.begin(), states_.end(), [](const progress& p) {
        return p.state == phase::gone;
      }))
    return;
  finished_ = true;
  out.push_back({.type = kind::finish});
}

duration shutdown_plan::budgets_up_to(size_t child) const {
  // Limits are sums of the budgets so far, counted from T0: what one leaves unused passes on.
  auto sum = settings_.drain_delay;
  for (size_t i = 0; i <= child; ++i)
    sum += children_[i].budget;
  return std::min(sum, settings_.timeout);
}

time_point shutdown_plan::limit(size_t child) const {
  return t0_ + budgets_up_to(child);
}

stop_forecast shutdown_plan::forecast() const {
  stop_forecast out{.drain_delay = settings_.drain_delay, .deadline = settings_.timeout};
  if (settings_.force)
    out.hard = settings_.timeout + settings_.force_delay;
  for (size_t i = 0; i < children_.size(); ++i) {
    planned_exit planned{
      .actor = children_[i].name, .budget = children_[i].budget, .limit = budgets_up_to(i)};
    for (auto user : children_[i].users)
      planned.after.push_back(children_[user].name);
    out.actors.push_back(std::move(planned));
  }
  return out;
}

void shutdown_plan::escalate_late(plan_actions& out, time_point now,
                                  const std::vector<std::string>& excuses) {
  bool someone = false;
  for (size_t i = 0; i < states_.size(); ++i) {
    auto& state = states_[i];
    if (state.state != phase::released || now < limit(i))
      continue;
    state.state = phase::late;
    state.escalated = now;
    someone = true;
    auto excuse = excuse_of(excuses, i);
    out.push_back(say(log_level::warn, children_[i].name + " is late: released "
                                         + show_duration(now - *state.released)
                                         + " ago, its budget is over"
                                         + (excuse.empty() ? "" : "; it " + excuse)));
    out.push_back({.type = kind::release, .child = i, .mode = std::max(mode_, stop_mode::fast)});
  }
  // Whom the late one waits for must be fast as well, or it cannot.
  if (someone && mode_ < stop_mode::fast)
    for (size_t i = 0; i < states_.size(); ++i)
      if (states_[i].state == phase::waiting)
        out.push_back({.type = kind::stop, .child = i, .mode = stop_mode::fast});
}

void shutdown_plan::pass_deadline(plan_actions& out, time_point now,
                                  const std::vector<std::string>& excuses) {
  deadline_passed_ = true;
  for (size_t i = 0; i < states_.size(); ++i) {
    auto& state = states_[i];
    if (state.state != phase::released && state.state != phase::late)
      continue;
    auto excuse = excuse_of(excuses, i);
    out.push_back(say(log_level::error, children_[i].name
                                          + " holds the exit past the deadline: released "
                                          + show_duration(now - *state.released) + " ago"
                                          + (excuse.empty() ? "" : "; it " + excuse)));
    if (!settings_.force || (children_[i].spared && !excuse.empty()))
      continue;
    state.state = phase::killed;
    state.killed = now;
    out.push_back({.type = kind::kill, .child = i});
  }
  if (settings_.force)
    release_ready(out, now);
}

plan_actions shutdown_plan::on_time(time_point now, const std::vector<std::string>& excuses) {
  plan_actions out;
  if (!begun_ || finished_)
    return out;
  if (!broadcast_done_ && now >= t0_ + settings_.drain_delay)
    broadcast(out, now);
  if (!deadline_passed_)
    escalate_late(out, now, excuses);
  if (!deadline_passed_ && now >= deadline())
    pass_deadline(out, now, excuses);
  return out;
}

std::optional<time_point> shutdown_plan::next_wakeup() const {
  if (!begun_ || finished_)
    return std::nullopt;
  std::optional<time_point> next;
  auto consider = [&](time_point t) { next = next ? std::min(*next, t) : t; };
  if (!broadcast_done_)
    consider(t0_ + settings_.drain_delay);
  if (!deadline_passed_) {
    consider(deadline());
    for (size_t i = 0; i < states_.size(); ++i)
      if (states_[i].state == phase::released)
        consider(limit(i));
  }
  return next;
}

std::vector<size_t> shutdown_plan::holders() const {
  std::vector<size_t> out;
  for (size_t i = 0; i < states_.size(); ++i)
    if (states_[i].state != phase::waiting && states_[i].state != phase::gone)
      out.push_back(i);
  return out;
}

bool shutdown_plan::died_in_stop() const {
  return std::any_of(states_.begin(), states_.end(), [](const progress& p) {
    return p.trouble_code == exit_trouble::died && !p.stopped;
  });
}

bool shutdown_plan::out_of_reach() const {
  return std::any_of(states_.begin(), states_.end(), [](const progress& p) {
    return p.report && p.report->ended.is(outcome::kind::out_of_reach);
  });
}

exit_code shutdown_plan::verdict(const std::optional<ledger_counts>& ledger) const {
  if (mode_ == stop_mode::immediate || reason_ == stop_reason::user_forced)
    return exit_code::forced_by_user;
  if (deadline_passed_ && settings_.force)
    return exit_code::forced_by_deadline;
  if (reason_ == stop_reason::startup_failed)
    return exit_code::startup_failed;
  if (reason_ == stop_reason::child_died || died_in_stop())
    return exit_code::child_died;
  if ((ledger && !ledger->settled()) || out_of_reach())
    return exit_code::unaccounted;
  return exit_code::clean;
}

exit_row shutdown_plan::row(size_t child) const {
  const auto& p = states_[child];
  return {.actor = children_[child].name,
          .state = p.state,
          .stop_sent = since(p.stop_sent, t0_),
          .released = since(p.released, t0_),
          .escalated = since(p.escalated, t0_),
          .killed = since(p.killed, t0_),
          .stopped = since(p.stopped, t0_),
          .gone = since(p.gone, t0_),
          .report = p.report,
          .trouble = p.trouble,
          .trouble_code = p.trouble_code};
}

exit_report shutdown_plan::report(const std::optional<ledger_counts>& ledger,
                                  time_point now) const {
  exit_report out{.mode = mode_,
                  .reason = reason_,
                  .code = verdict(ledger),
                  .detail = detail_,
                  .began = begun_ ? t0_ : time_point{},
                  .took = begun_ ? now - t0_ : duration::zero(),
                  .ledger = ledger};
  for (size_t i = 0; i < children_.size(); ++i)
    out.actors.push_back(row(i));
  return out;
}

} // namespace phi
