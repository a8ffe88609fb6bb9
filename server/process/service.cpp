#include "server/process/service.hpp"

#include "actors/watchdog.hpp"
#include "config/defaults.hpp"
#include "config/merge.hpp"
#include "protocol/text/duration.hpp"
#include "server/platform/groups.hpp"
#include "server/systemd/budget_doctor.hpp"

#include <algorithm>

namespace phi {

void log_report(const exit_report& report) {
  for (const auto& line : closing_table(report))
    log_info("report", line);
  if (auto blame = blame_chain(report); !blame.empty())
    log_info("report", "blames: " + blame);
  log_fields fields{{"mode", to_string(report.mode)},
                    {"reason", to_string(report.reason)},
                    {"took", show_duration(report.took)},
                    {"code", static_cast<int>(report.code)}};
  if (!report.detail.empty())
    fields.emplace_back("detail", report.detail);
  if (const auto& ledger = report.ledger) {
    fields.emplace_back("received", ledger->received);
    fields.emplace_back("stored", ledger->stored);
    fields.emplace_back("duplicates", ledger->duplicates);
    fields.emplace_back("rejected", ledger->rejected);
    fields.emplace_back("spooled", ledger->spooled);
    fields.emplace_back("set_aside", ledger->set_aside);
    fields.emplace_back("in_queue", ledger->in_queue);
  }
  log(report.code == exit_code::clean ? log_level::info : log_level::error, "report",
      std::string{describe(report.code)}, fields);
}

exit_code service::wait() {
  std::unique_lock lock{mutex_};
  over_.wait(lock, [this] { return code_.has_value(); });
  return *code_;
}

void service::learn_limits(const systemd::unit_limits& limits) {
  config_ptr settings;
  {
    std::lock_guard lock{mutex_};
    limits_ = limits;
    settings = settings_;
  }
  for (const auto& finding : systemd::examine_budgets(*settings, limits))
    log_warn("config", "warns: " + finding.text());
  if (auto finding = systemd::examine_address(*settings, origins(), limits.socket))
    log_warn("config", "warns: " + finding->text());
}

void service::state_changed(service_state state, const std::string& text) {
  if (state != shown_) {
    log_info("supervisor", "is " + text);
    // Readiness first: the service manager is told when a request would really be served.
    if (on_ready_changed && state != service_state::reloading)
      on_ready_changed(state == service_state::ready);
    if (state == service_state::lame_duck)
      parts_.life.begin(life_kind::lame_duck, "somebody wishes so");
    else if (state != service_state::reloading)
      parts_.life.end(life_kind::lame_duck);
  }
  show(state, text);
  shown_ = state;
}

void service::show(service_state state, const std::string& text) {
  if (state == shown_) {
    parts_.manager.status(text);
    if (state == service_state::starting) // it gets on; we give it up before the manager does
      parts_.manager.extend(std::chrono::seconds{settings_->shutdown.start_timeout_secs}
                            + defaults::start_margin);
    return;
  }
  switch (state) {
    case service_state::ready:
      if (shown_ != service_state::lame_duck)
        return parts_.manager.ready(text);
      return parts_.manager.status(text);
    case service_state::lame_duck:
      if (shown_ == service_state::reloading)
        return parts_.manager.ready(text);
      return parts_.manager.status(text);
    case service_state::reloading: return parts_.manager.reloading(text);
    case service_state::stopping: return parts_.manager.stopping(text);
    default: return parts_.manager.status(text);
  }
}

void service::stop_extended(duration more, std::optional<time_point> hard) {
  parts_.manager.extend(more);
  if (hard)
    parts_.resort.arm(*hard);
}

std::optional<duration> service::manager_stop_limit() const {
  std::lock_guard lock{mutex_};
  return limits_ ? limits_->stop : std::nullopt;
}

duration service::watchdog_silence(const config& settings) const {
  auto dog = watchdog_settings_of(settings, parts_.watch.manager_limit());
  return dog.enabled ? dog.interval * 5 / 2 : duration::zero();
}

prepared_reload service::prepare_reload() {
  auto [accepted, loaded, merged] = parts_.source.consider(*settings_);
  prepared_reload out;
  out.report.accepted = accepted ? check_admin_group(loaded.values.admin.group) : accepted;
  out.report.warnings = std::move(loaded.warnings);
  ++(out.report.accepted ? reloads_ : reloads_refused_);
  parts_.life.add(life_kind::reload,
                  out.report.accepted
                    ? std::to_string(merged.changed.size()) + " settings changed, "
                        + std::to_string(merged.needs_restart.size()) + " need a restart"
                    : "refused: the settings are not valid; the log says why");
  if (!out.report.accepted)
    return out;
  next_origins_ = std::move(loaded.origins);
  out.report.changed = std::move(merged.changed);
  out.report.needs_restart = std::move(merged.needs_restart);
  std::lock_guard lock{mutex_};
  if (limits_)
    for (const auto& finding : systemd::examine_budgets(merged.next, *limits_))
      out.report.warnings.push_back(finding.text());
  out.next = std::make_shared<const config>(std::move(merged.next));
  return out;
}

void service::apply_settings(const config_ptr& settings) {
  parts_.log.use(level_of(*settings), settings->logging.format);
  parts_.watch.set_abort_when_stuck(settings->shutdown.watchdog.abort);
  std::lock_guard lock{mutex_};
  settings_ = settings;
  // A key that needs a restart keeps its value, and so its origin.
  for (const auto& [path, origin] : next_origins_)
    if (auto fixed = restart_keys(); std::find(fixed.begin(), fixed.end(), path) == fixed.end())
      origins_[path] = origin;
}

config_ptr service::settings() const {
  std::lock_guard lock{mutex_};
  return settings_;
}

std::map<std::string, std::string> service::origins() const {
  std::lock_guard lock{mutex_};
  return origins_;
}

std::optional<systemd::unit_limits> service::unit_limits() const {
  std::lock_guard lock{mutex_};
  return limits_;
}

life_facts service::life() const {
  life_facts out{.reloads = reloads_, .reloads_refused = reloads_refused_};
  if (const auto& last = parts_.state.last_run())
    out.last = last_stop{.crashed = last->crashed,
                         .exit_code = last->exit_code,
                         .took_s = last->took_ms / 1000,
                         .at_us = last->ended_us.value_or(0)};
  return out;
}

void service::stop_begun(const exit_report& draft, std::optional<time_point> hard) {
  parts_.resort.keep(draft);
  if (hard)
    parts_.resort.arm(*hard);
  parts_.life.stop_under_way(draft.mode, draft.reason);
}

void service::stop_moved(const exit_report& draft) {
  parts_.resort.keep(draft);
  parts_.life.stop_under_way(draft.mode, draft.reason);
}

void service::finished(const exit_report& report) {
  log_report(report);
  // All is done but for the file, whose disk may hang: from here on only the code is left to tell.
  parts_.resort.leave_quietly(clock::now() + defaults::report_file_limit + defaults::teardown_limit,
                              report.code);
  if (auto kept = parts_.state.end_run_within(report, defaults::report_file_limit); !kept)
    log_warn("supervisor", "cannot keep the report", {{"cause", kept.why()}});
  parts_.manager.status("stopped: " + std::string{describe(report.code)});
  parts_.manager.barrier(defaults::manager_barrier_limit);
  // From here on only the actor system has to come down; that it can hang in rare cases
  // (CAF issue 1196) must not hold the exit.
  parts_.resort.leave_quietly(clock::now() + defaults::teardown_limit, report.code);
  std::lock_guard lock{mutex_};
  code_ = report.code;
  over_.notify_all();
}

void service::supervisor_died(const std::string& why, const exit_report& draft) {
  log_error("supervisor", "has died, and with it all order: leaves at once", {{"cause", why}});
  for (const auto& row : draft.actors)
    log_error("supervisor", "dumps an actor",
              {{"actor", row.actor}, {"doing", row.doing.empty() ? "idle" : row.doing}});
  parts_.resort.keep(draft);
  parts_.resort.leave_orphaned(why);
}

void service::leave_now() {
  parts_.resort.leave_now();
}

} // namespace phi
