#include "tools/phictl/exit_file.hpp"

#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/output.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <poll.h>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

json read_once(const std::string& file) {
  std::ifstream in{file};
  if (!in)
    throw failure{outcome::failed, "cannot read " + file + ": " + std::strerror(errno)
                                     + "; the service has not ended yet, or phictl must be run as"
                                       " root or as the service's user"};
  return json::parse(in, nullptr, false);
}

double waited_ms(const json& row, const std::string& whom) {
  double sum = 0;
  if (row.contains("waited"))
    for (const auto& wait : row["waited"])
      if (wait.value("for", "") == whom)
        sum += wait.value("ms", 0.0);
  return sum;
}

/// Advice about one actor's part.
void explain_row(const json& row, std::vector<std::string>& out) {
  constexpr double noticeable_ms = 500;
  auto actor = row.value("actor", "?");
  if (row.contains("hurriedMs"))
    out.push_back(actor + " used up its budget: raise shutdown." + actor
                  + "_budget_percent (and lower another's), or shutdown.timeout_secs");
  if (waited_ms(row, "clients") > noticeable_ms)
    out.push_back("slow clients held the listener: lower server.partial_grace_ms,"
                  " server.keepalive_grace_ms or server.write_timeout_ms");
  if (waited_ms(row, "store") > noticeable_ms)
    out.push_back(
      "the queue took long to commit: lower stats.queue_max_events, look at the disk, or"
      " raise shutdown.timeout_secs");
  if (waited_ms(row, "the database to close") > noticeable_ms)
    out.push_back(
      "the database took long to close: its write-ahead log was large; look at the disk");
  if (auto state = row.value("state", ""); state == "killed" || state == "late")
    out.push_back(actor
                  + " did not end by itself: this is a defect, keep the journal and the dump");
}

} // namespace

json read_exit_report(const std::string& state_directory, int pid) {
  auto file = state_directory + "/last-exit.json";
  auto until = std::chrono::steady_clock::now() + 5s;
  for (;;) {
    auto report = read_once(file);
    if (!report.is_object())
      throw failure{outcome::failed, file + " is not a report"};
    if (pid == 0 || report.value("pid", 0) == pid || std::chrono::steady_clock::now() > until)
      return report;
    ::poll(nullptr, 0, 20); // it is being written
  }
}

std::string find_state_directory(const context& with) {
  try {
    auto status = ask(with, admin_wire::method_status, json::object(), 3s);
    return status.value("stateDirectory", "");
  } catch (const failure& gone) {
    if (gone.how() != outcome::not_running)
      throw;
  }
  std::error_code ignored;
  for (auto place : {"/var/lib/phi-backend", "data"})
    if (std::filesystem::exists(std::string{place} + "/last-exit.json", ignored))
      return place;
  throw failure{
    outcome::failed,
    "found no last-exit.json in /var/lib/phi-backend or ./data; name the service's state"
    " directory with --state-dir"};
}

std::vector<std::string> explain_exit(const json& report) {
  std::vector<std::string> out;
  if (report.value("crashed", false))
    return {
      "it ended without a report: look for a kill in the journal (out of memory, the watchdog,"
      " TimeoutStopSec), or a crash; nothing acknowledged was lost"};
  switch (report.value("exitCode", 0)) {
    case 1: out.push_back("the start failed: " + report.value("detail", "see the log")); break;
    case 3: out.push_back("an actor died: " + report.value("detail", "see the log")); break;
    case 4:
      out.push_back("the forced exit came after shutdown.timeout_secs + shutdown.force_delay_secs,"
                    " or before systemd would have killed; see phictl doctor");
      break;
    case 5: out.push_back("somebody asked for it: a third signal, or mode immediate"); break;
    case 6: out.push_back("events are unaccounted for: see the ledger and the log"); break;
    default: break;
  }
  if (report.contains("actors"))
    for (const auto& row : report["actors"])
      explain_row(row, out);
  if (out.empty())
    out.push_back("nothing to change: it went as it should");
  return out;
}

} // namespace phi::ctl
