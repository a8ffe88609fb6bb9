#include "tools/phictl/exit_file.hpp"
#include "protocol/platform/files.hpp"
#include "tools/phictl/pause.hpp"

#include "protocol/admin.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/state_files.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/output.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

json read_once(const std::string& file) {
  std::ifstream in{file};
  if (!in)
    throw failure{exit_status::failed,
                  "cannot read " + file + ": " + std::strerror(errno)
                    + "; the service has not ended yet, or phictl must be run as"
                      " root or as the service's user"};
  return read_json(in);
}

/// Whether a service holds the directory now. Asks for its lock without taking it.
bool in_use(const std::string& state_directory) {
  auto lock = open_file(state_files::path(state_directory, state_files::lock), open_mode::read);
  if (!lock)
    return errno != ENOENT; // who may not look there cannot say that it is free
  return is_lock_shown(lock.get());
}

/// The run whose mark is still there although nobody runs: killed, crashed, or unable to write its
/// report. Nothing: there is no such run.
std::optional<json> run_without_report(const std::string& state_directory) {
  std::ifstream in{state_files::path(state_directory, state_files::running)};
  if (!in || in_use(state_directory))
    return std::nullopt;
  auto mark = read_json(in);
  // It may have ended properly between the two looks.
  if (!std::filesystem::exists(state_files::path(state_directory, state_files::running)))
    return std::nullopt;
  if (!mark.is_object())
    mark = json::object();
  bool crashed = !mark.contains("exitCode");
  json out{{"crashed", crashed},
           {"exitCode", mark.value("exitCode", json{})},
           {"exitText", mark.value("exitText", "ended without a report")}};
  out.update(mark);
  return out;
}

bool is_of(const json& report, const run_key& run) {
  auto id = report.value("runId", "");
  return id.empty() || run.id.empty() ? report.value("pid", 0) == run.pid : id == run.id;
}

/// For how long a row waited for whom a field of its waits names, such as "for" an actor.
double waited_ms(const json& row, const char* field, std::string_view code) {
  double sum = 0;
  if (row.contains("waited"))
    for (const auto& wait : row["waited"])
      if (wait.value(field, "") == code)
        sum += wait.value("ms", 0.0);
  return sum;
}

/// Advice about whoever held the stop in the end.
void explain_culprit(const json& held, std::vector<std::string>& out) {
  auto who = held.value("who", "");
  if (held.value("kind", "") == to_string(wait_kind::client))
    out.push_back("the " + who
                  + ", held the listener: lower server.partial_grace_ms,"
                    " server.keepalive_grace_ms or server.write_timeout_ms");
  else if (held.value("work", "") == to_string(work_code::commit))
    out.push_back(who + " was in " + held.value("what", "")
                  + ": the disk or the database is slow, or hangs; look at its latency, at a full"
                    " disk, at locks held by others. More time would only wait longer");
  else if (who == actor_name::reader)
    out.push_back("a long question held the stop: lower stats.query_timeout_ms");
}

/// Who answers long questions has the same share as who answers the others.
std::string_view name_of_share(std::string_view actor) {
  return actor == actor_name::inspector ? actor_name::reader : actor;
}

/// Advice about one actor's part; `culprit` held the stop in the end.
void explain_row(const json& row, const std::string& culprit, std::vector<std::string>& out) {
  constexpr double noticeable_ms = 500;
  auto actor = row.value("actor", "?");
  bool innocent = !culprit.empty() && culprit != actor;
  if (row.contains("escalatedMs") && innocent)
    out.push_back(actor + " used up its budget waiting for " + culprit);
  else if (row.contains("escalatedMs"))
    out.push_back(actor + " used up its budget: raise shutdown." + std::string{name_of_share(actor)}
                  + "_budget_percent (and lower another's), or shutdown.timeout_secs");
  if (waited_ms(row, "for", actor_name::store) > noticeable_ms)
    out.push_back(
      "the queue took long to commit: lower stats.queue_max_events, look at the disk, or"
      " raise shutdown.timeout_secs");
  if (waited_ms(row, "work", to_string(work_code::close_database)) > noticeable_ms)
    out.push_back(
      "the database took long to close: its write-ahead log was large; look at the disk");
  auto state = row.value("state", "");
  if ((state == to_string(exit_state::killed) || state == to_string(exit_state::late)) && !innocent)
    out.push_back(actor
                  + " did not end by itself: this is a defect, keep the journal and the dump");
}

} // namespace

json read_exit_report(const std::string& state_directory, const std::optional<run_key>& run) {
  auto file = state_files::path(state_directory, state_files::last_exit);
  auto until = std::chrono::steady_clock::now() + 5s;
  for (;;) {
    auto lost = run_without_report(state_directory);
    if (lost && (!run || is_of(*lost, *run)))
      return *lost;
    if (!run || std::filesystem::exists(file)) {
      auto report = read_once(file);
      if (!report.is_object())
        throw failure{exit_status::failed, file + " is not a report"};
      if (!run || is_of(report, *run))
        return report;
    }
    if (std::chrono::steady_clock::now() > until)
      throw failure{exit_status::failed, "process " + std::to_string(run->pid)
                                           + ", which was to stop, has left no report in "
                                           + state_directory + "; see the log"};
    pause_for(std::chrono::milliseconds{20}); // it is being written
  }
}

std::optional<std::string> running_state_directory(const command_context& context) {
  try {
    auto status = ask(context, admin_wire::method_status, json::object(), 3s);
    return status.value("stateDirectory", "");
  } catch (const failure& gone) {
    if (gone.status() != exit_status::not_running)
      throw;
  }
  return {};
}

std::string silent_state_directory(const command_context& context) {
  auto was_used = [](const std::string& place) {
    for (auto name : {state_files::lock, state_files::last_exit, state_files::running}) {
      std::error_code error;
      if (std::filesystem::exists(state_files::path(place, name), error))
        return true;
      if (error == std::errc::permission_denied)
        throw failure{exit_status::failed,
                      "not permitted: only root and the service's user may see " + place
                        + "; try: sudo phictl ..."};
    }
    return false;
  };
  if (!context.socket.empty()) {
    auto beside = std::filesystem::absolute(context.socket).parent_path().string();
    if (was_used(beside))
      return beside;
    throw failure{exit_status::failed, "nobody answers at " + context.socket
                                         + ", and no service has kept its state beside it; name the"
                                           " service's state directory with --state-dir"};
  }
  if (const char* named = std::getenv("APP_SERVER_STATE_DIR"); named && *named)
    return named;
  for (auto place : {"/var/lib/phi-backend", "data"})
    if (was_used(place))
      return place;
  throw failure{
    exit_status::failed,
    "found no state of a service in /var/lib/phi-backend or ./data; name the service's state"
    " directory with --state-dir"};
}

std::string find_state_directory(const command_context& context) {
  auto running = running_state_directory(context);
  return running ? *running : silent_state_directory(context);
}

std::vector<std::string> explain_exit(const json& report) {
  std::vector<std::string> out;
  if (auto stuck = report.value("stuck", ""); !stuck.empty())
    return {"the watchdog gave it up because " + stuck
            + " was stuck: see the dump in the journal; nothing acknowledged was lost"};
  if (report.value("crashed", false))
    return {
      "it ended without a report: look for a kill in the journal (out of memory, the watchdog,"
      " TimeoutStopSec), or a crash; nothing acknowledged was lost"};
  if (report.contains("noReport"))
    out.push_back("its report could not be kept: " + report.value("noReport", "?"));
  switch (exit_code{report.value("exitCode", uint8_t{0})}) {
    case exit_code::startup_failed:
      out.push_back("the start failed: " + report.value("detail", "see the log"));
      break;
    case exit_code::child_died:
      out.push_back("an actor died: " + report.value("detail", "see the log"));
      break;
    case exit_code::forced_by_deadline:
      out.push_back("the forced exit came after shutdown.timeout_secs + shutdown.force_delay_secs,"
                    " or before systemd would have killed; see phictl doctor");
      break;
    case exit_code::forced_by_user:
      out.push_back("somebody asked for it: a third signal, or mode immediate");
      break;
    case exit_code::unaccounted:
      out.push_back(
        "events are unaccounted for, or where nobody will look for them: see the ledger,"
        " what store and spool say of their files, and the log");
      break;
    default: break;
  }
  auto held = report.value("heldBy", json::object());
  auto culprit = held.value("who", "");
  if (held.value("ms", 0.0) > 500)
    explain_culprit(held, out);
  if (report.contains("actors"))
    for (const auto& row : report["actors"])
      explain_row(row, culprit, out);
  if (out.empty())
    out.push_back("nothing to change: it went as it should");
  return out;
}

} // namespace phi::ctl
