#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/exit_file.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

struct last_exit_options {
  std::string state_directory; ///< empty: of the service that runs, or of the usual places
  bool explain = false;
};

void print_report(const json& report) {
  if (report.value("crashed", false)) {
    print() << paint(colour::red, "ended without a report") << ": killed or crashed; process "
            << report.value("pid", 0) << ", started " << report.value("startedAt", "?");
    if (report.contains("noticedAt"))
      print() << ", noticed " << report.value("noticedAt", "?");
    if (auto stuck = report.value("stuck", ""); !stuck.empty())
      print() << "; the watchdog had given it up because " << stuck << " was stuck";
    print() << "\n";
    return;
  }
  int code = report.value("exitCode", -1);
  print() << paint(code == 0 ? colour::green : colour::red, report.value("exitText", "?"))
          << " (exit status " << code << "), " << report.value("mode", "?") << ", because of "
          << report.value("reason", "?") << ", in "
          << show_seconds(report.value("tookMs", 0.0) / 1000) << "\n"
          << "process " << report.value("pid", 0) << ", " << report.value("startedAt", "?")
          << " to " << report.value("endedAt", "?") << "\n";
  if (auto blame = report.value("blame", ""); !blame.empty())
    print() << "blames " << blame << "\n";
  table rows{{"ACTOR", "STATE", "RELEASED", "GONE", "TOOK", "DID"}};
  auto time = [](const json& row, const char* name) {
    return row.contains(name) ? show_seconds(row[name].get<double>() / 1000) : std::string{"-"};
  };
  for (const auto& row : report.value("actors", json::array())) {
    std::string did;
    const auto work = row.value("did", json::object());
    for (const auto& [name, count] : work.items())
      did += (did.empty() ? "" : ", ") + name + " " + show_json(count);
    if (row.contains("trouble"))
      did += (did.empty() ? "" : "; ") + row["trouble"].get<std::string>();
    rows.push_back({row.value("actor", "?"), row.value("state", "?"), time(row, "releasedMs"),
                    time(row, "goneMs"), time(row, "tookMs"), did});
  }
  if (rows.size() > 1)
    print_table(rows);
}

void last_exit(const command_context& context, const last_exit_options& options) {
  auto where =
    options.state_directory.empty() ? find_state_directory(context) : options.state_directory;
  auto report = read_exit_report(where);
  auto advice = explain_exit(report);
  if (context.json) {
    if (options.explain)
      report["explanation"] = advice;
    print_json(report, 2);
  } else {
    print_report(report);
    for (const auto& line : options.explain ? advice : std::vector<std::string>{})
      print() << paint(colour::bold, "- ") << line << "\n";
  }
  if (report.value("crashed", false))
    throw failure{exit_status::failed, ""};
  if (int code = report.value("exitCode", 0); code != 0)
    throw failure{static_cast<exit_status>(code), ""};
}

} // namespace

void add_last_exit(CLI::App& app, command_context& context) {
  auto options = std::make_shared<last_exit_options>();
  auto* command =
    app.add_subcommand("last-exit", "Show how the last run ended; ends with its exit status, or 1");
  command->add_option("--state-dir", options->state_directory, "The service's state directory")
    ->type_name("DIR");
  command->add_flag("--explain", options->explain, "Say what to change");
  command->footer("Example: phictl last-exit --explain")->callback([&context, options] {
    last_exit(context, *options);
  });
}

} // namespace phi::ctl
