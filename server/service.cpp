#include "server/service.hpp"

#include "config/defaults.hpp"

#include <cstdlib>

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
  if (const auto& book = report.ledger) {
    fields.emplace_back("received", book->received);
    fields.emplace_back("stored", book->stored);
    fields.emplace_back("duplicates", book->duplicates);
    fields.emplace_back("rejected", book->rejected);
    fields.emplace_back("spooled", book->spooled);
    fields.emplace_back("in_queue", book->in_queue);
  }
  log(report.code == exit_code::clean ? log_level::info : log_level::error, "report",
      std::string{describe(report.code)}, fields);
}

exit_code service::wait() {
  std::unique_lock lock{guard_};
  over_.wait(lock, [this] { return code_.has_value(); });
  return *code_;
}

void service::state_changed(service_state state, const std::string& text) {
  if (state == shown_)
    return;
  shown_ = state;
  log_info("supervisor", "is " + text);
  if (on_ready_changed)
    on_ready_changed(state == service_state::ready);
}

void service::stop_begun(const exit_report& draft, std::optional<time_point> hard) {
  resort_.keep(draft);
  if (hard)
    resort_.arm(*hard);
}

void service::stop_moved(const exit_report& draft) {
  resort_.keep(draft);
}

void service::finished(const exit_report& report) {
  log_report(report);
  if (auto trouble = state_.end_run(report); !trouble.empty())
    log_warn("supervisor", "cannot keep the report", {{"cause", trouble}});
  // From here on only the actor system has to come down; that it can hang in rare cases
  // (CAF issue 1196) must not hold the exit.
  resort_.leave_quietly(clock::now() + defaults::teardown_limit, report.code);
  std::lock_guard lock{guard_};
  code_ = report.code;
  over_.notify_all();
}

void service::leave_now() {
  resort_.leave_now();
}

void service::stuck(const std::string& actor) {
  if (!abort_when_stuck_)
    return;
  log_error("supervisor", "aborts the process", {{"stuck", actor}});
  std::abort();
}

} // namespace phi
