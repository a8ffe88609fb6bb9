#include "protocol/admin.hpp"
#include "protocol/names.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/exit_file.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/silent_service.hpp"
#include "tools/phictl/trace_diagram.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

// -- actors, dump, log level --------------------------------------------------------------------

void actors(const command_context& context) {
  auto status = ask(context, admin_wire::method_status);
  if (context.json) {
    print_json(status["actors"], 2);
    return;
  }
  table rows{{"ACTOR", "STATE", "RESTARTS", "MAILBOX", "PROGRESS", "CPU", "LAST", "DOING"}};
  for (const auto& actor : status["actors"]) {
    auto says = actor.value("says", json::object());
    auto cpu = says.value("processorMs", -1.0);
    auto state = actor.value("state", "?");
    rows.push_back(
      {actor.value("actor", "?"), paint(colour_of_state(state), state),
       std::to_string(actor.value("restarts", 0)), std::to_string(says.value("mailbox", 0)),
       group_digits(says.value("progress", uint64_t{0})), cpu < 0 ? "-" : show_seconds(cpu / 1000),
       says.value("last", ""), actor.contains("says") ? says.value("doing", "") : "no answer"});
  }
  print_table(rows);
  if (!context.json)
    print() << "CPU is that of the actor's thread; http, stats, signal and admin share two.\n";
}

void dump(const command_context& context) {
  ask(context, admin_wire::method_dump);
  print() << "The state is in the log; see: phictl logs\n";
}

void log_level(const command_context& context, const std::string& level) {
  auto params = json::object();
  if (!level.empty())
    params["level"] = level;
  auto answer = ask(context, admin_wire::method_log_level, params);
  if (context.json)
    print_json(answer);
  else if (level.empty())
    print() << answer.value("level", "?") << "\n";
  else
    print() << "log level: " << answer.value("before", "?") << " -> " << answer.value("level", "?")
            << ", until the next reload or restart\n";
}

// -- the last exit ------------------------------------------------------------------------------

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
    for (const auto& [what, count] : work.items())
      did += (did.empty() ? "" : ", ") + what + " " + show_json(count);
    if (row.contains("trouble"))
      did += (did.empty() ? "" : "; ") + row["trouble"].get<std::string>();
    rows.push_back({row.value("actor", "?"), row.value("state", "?"), time(row, "releasedMs"),
                    time(row, "goneMs"), time(row, "tookMs"), did});
  }
  if (rows.size() > 1)
    print_table(rows);
}

void last_exit(const command_context& context, const std::string& state_directory, bool explain) {
  auto where = state_directory.empty() ? find_state_directory(context) : state_directory;
  auto report = read_exit_report(where);
  auto advice = explain_exit(report);
  if (context.json) {
    if (explain)
      report["explanation"] = advice;
    print_json(report, 2);
  } else {
    print_report(report);
    for (const auto& line : explain ? advice : std::vector<std::string>{})
      print() << paint(colour::bold, "- ") << line << "\n";
  }
  if (report.value("crashed", false))
    throw failure{exit_status::failed, ""};
  if (int code = report.value("exitCode", 0); code != 0)
    throw failure{static_cast<exit_status>(code), ""};
}

// -- configuration, doctor ----------------------------------------------------------------------

void config_show(const command_context& context, const std::string& part) {
  auto answer = ask(context, admin_wire::method_config);
  if (context.json) {
    print_json(answer["settings"], 2);
    return;
  }
  table rows{{"KEY", "VALUE", "FROM"}};
  for (const auto& setting : answer["settings"])
    if (auto key = setting.value("key", ""); key.find(part) != key.npos)
      rows.push_back({key, setting.value("value", ""), setting.value("origin", "")});
  if (rows.size() == 1)
    throw failure{exit_status::failed, "no key has \"" + part + "\" in its name"};
  print_table(rows);
}

void config_diff(const command_context& context, bool only_check) {
  auto answer = ask(context, admin_wire::method_config_diff);
  if (context.json) {
    print_json(answer, 2);
    return;
  }
  if (only_check) {
    print() << "The configuration is fine.\n";
    return;
  }
  for (const auto& line : answer["live"])
    print() << paint(colour::green, "by reload   ") << line.get<std::string>() << "\n";
  for (const auto& line : answer["needsRestart"])
    print() << paint(colour::yellow, "by restart  ") << line.get<std::string>() << "\n";
  if (answer["live"].empty() && answer["needsRestart"].empty())
    print() << "The file and the environment say what is in effect.\n";
}

void print_findings(const json& findings) {
  table rows{{"VERDICT", "WHAT", "FOUND"}};
  for (const auto& found : findings) {
    auto verdict = found.value("verdict", "?");
    auto tint = verdict == to_string(finding_verdict::ok)    ? colour::green
                : verdict == to_string(finding_verdict::bad) ? colour::red
                                                             : colour::yellow;
    rows.push_back({paint(tint, verdict), found.value("what", ""), found.value("text", "")});
    if (auto remedy = found.value("remedy", ""); !remedy.empty())
      rows.push_back({"", "", "remedy: " + remedy});
  }
  print_table(rows);
}

/// What the service's doctor finds; where no service answers, what can be found all the same.
void doctor(const command_context& context) {
  auto ends = exit_status::done;
  json findings;
  try {
    findings = ask(context, admin_wire::method_doctor)["examined"];
    for (const auto& found : findings)
      if (found.value("verdict", "") == to_string(finding_verdict::bad))
        ends = exit_status::failed;
  } catch (const failure& gone) {
    if (gone.status() != exit_status::not_running)
      throw;
    findings = examine_silent_service(context, gone.what());
    ends = gone.status();
  }
  if (context.json)
    print_json(findings, 2);
  else
    print_findings(findings);
  if (ends != exit_status::done)
    throw failure{ends, ""};
}

// -- trace --------------------------------------------------------------------------------------

struct trace_wishes {
  bool log = false;
  bool user_data = false;
  std::vector<std::string> actors;
  std::vector<std::string> messages;
};

void trace_on(const command_context& context, const trace_wishes& wishes) {
  ask(context, admin_wire::method_trace_on,
      {{"log", wishes.log},
       {"userData", wishes.user_data},
       {"actors", wishes.actors},
       {"messages", wishes.messages}});
  print() << "Tracing is on" << (wishes.log ? ", in the log" : "")
          << "; write it out with: phictl trace dump FILE.json\n";
}

void trace_dump(const command_context& context, const std::string& file) {
  admin_client client{context};
  std::ofstream out{file};
  auto fail_unless_written = [&] {
    if (!out)
      throw failure{exit_status::failed, "cannot write " + file + ": " + std::strerror(errno)};
  };
  fail_unless_written();
  out << "[\n";
  size_t lines = 0;
  uint64_t dropped = 0;
  for (json from = 0; !from.is_null();) {
    auto page =
      client.call(admin_wire::method_trace_read, {{"from", from}}, context.timeout_or(10s));
    for (const auto& line : page["lines"])
      out << (lines++ ? ",\n" : "") << line.get<std::string>();
    fail_unless_written();
    dropped = page.value("dropped", uint64_t{0});
    from = page.contains("next") ? page["next"] : json{};
  }
  out << "\n]\n";
  out.close();
  fail_unless_written();
  print() << file << " has " << group_digits(lines) << " lines";
  if (dropped > 0)
    print() << "; " << group_digits(dropped) << " older ones were pushed out";
  print() << ". Open it in https://ui.perfetto.dev\n";
}

void add_trace_commands(CLI::App& app, command_context& context) {
  auto* trace = app.add_subcommand("trace", "See the messages between the actors");
  trace->require_subcommand(1);
  trace->footer("Example: phictl trace on && sleep 5 && phictl trace dump now.json");
  auto wishes = std::make_shared<trace_wishes>();
  auto* on = trace->add_subcommand("on", "Switch tracing on");
  on->add_flag("--log", wishes->log, "Write each message to the log as well");
  on->add_flag("--user-data", wishes->user_data, "Show what users sent, too");
  on->add_option("--actor", wishes->actors, "Only what these actors handle");
  on->add_option("--message", wishes->messages, "Only these messages");
  on->footer("Example: phictl trace on --actor stats --message commit")
    ->callback([&context, wishes] { trace_on(context, *wishes); });
  trace->add_subcommand("off", "Switch tracing off")
    ->footer("Example: phictl trace off")
    ->callback([&context] {
      ask(context, admin_wire::method_trace_off);
      print() << "Tracing is off\n";
    });
  auto file = std::make_shared<std::string>();
  auto* dump = trace->add_subcommand("dump", "Write what was traced to a file for Perfetto");
  dump->add_option("FILE", *file, "The file to write")->required();
  dump->footer("Example: phictl trace dump now.json")->callback([&context, file] {
    trace_dump(context, *file);
  });
  auto from = std::make_shared<std::string>();
  auto* diagram =
    trace->add_subcommand("diagram", "Print the stop in a trace as a Mermaid sequence diagram");
  diagram->add_option("FILE", *from, "A trace, such as of PHI_TRACE=FILE")
    ->required()
    ->check(CLI::ExistingFile);
  diagram->footer("Example: phictl trace diagram stop.json > stop.mmd")->callback([from] {
    for (const auto& line : stop_diagram(*from))
      print() << line << "\n";
  });
}

} // namespace

void add_inspect_commands(CLI::App& app, command_context& context) {
  app.add_subcommand("actors", "Show every actor: mailbox, progress, processor time, last message")
    ->footer("Example: phictl actors")
    ->callback([&context] { actors(context); });
  app.add_subcommand("dump", "Write the state of everything to the log")
    ->footer("Example: phictl dump")
    ->callback([&context] { dump(context); });
  auto level = std::make_shared<std::string>();
  auto* logging = app.add_subcommand("log-level", "Show or set the least level that is logged");
  logging->add_option("LEVEL", *level, "trace, debug, info, warn or error")
    ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  logging->footer("Example: phictl log-level debug")->callback([&context, level] {
    log_level(context, *level);
  });

  auto where = std::make_shared<std::string>();
  auto explain = std::make_shared<bool>(false);
  auto* exit =
    app.add_subcommand("last-exit", "Show how the last run ended; ends with its exit status, or 1");
  exit->add_option("--state-dir", *where, "The service's state directory")->type_name("DIR");
  exit->add_flag("--explain", *explain, "Say what to change");
  exit->footer("Example: phictl last-exit --explain")->callback([&context, where, explain] {
    last_exit(context, *where, *explain);
  });

  auto* config = app.add_subcommand("config", "Look at the configuration in effect");
  config->require_subcommand(1);
  config->footer("Example: phictl config show shutdown");
  auto part = std::make_shared<std::string>();
  auto* show = config->add_subcommand("show", "Show the values in effect and where each came from");
  show->add_option("PART", *part, "Only keys with this in their name");
  show->footer("Example: phictl config show shutdown")->callback([&context, part] {
    config_show(context, *part);
  });
  config->add_subcommand("check", "Check the file and the environment as a reload would")
    ->footer("Example: phictl config check")
    ->callback([&context] { config_diff(context, true); });
  config->add_subcommand("diff", "Show what a reload and a restart would change")
    ->footer("Example: phictl config diff")
    ->callback([&context] { config_diff(context, false); });
  app.add_subcommand("doctor", "Examine budgets, permissions, disk, database, clock, file limits")
    ->footer("Example: phictl doctor")
    ->callback([&context] { doctor(context); });
  add_trace_commands(app, context);
}

} // namespace phi::ctl
