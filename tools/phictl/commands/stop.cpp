#include "protocol/admin.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/exit_file.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct stop_options {
  std::string mode = "graceful";
  bool wait = false;
  bool dry_run = false;
};

std::string milliseconds(const json& row, const char* name) {
  return row.contains(name) ? show_seconds(row[name].get<double>() / 1000) : "-";
}

std::string joined(const json& names) {
  std::string out;
  for (const auto& name : names)
    out += (out.empty() ? "" : ", ") + name.get<std::string>();
  return out.empty() ? "at once" : "after " + out;
}

/// Who would hold a stop now, by what the actors say of themselves.
void print_blockers(const json& status) {
  double estimate = 0;
  print() << "\n" << paint(colour::bold, "In the way now") << "\n";
  bool none = true;
  for (const auto& actor : status["actors"]) {
    auto name = actor.value("actor", "?");
    if (!actor.contains("says")) {
      print() << "  " << paint(colour::red, name + " does not answer") << "\n";
      none = false;
      continue;
    }
    const auto& says = actor["says"];
    estimate += says.value("backlogSeconds", 0.0);
    if (!says.value("idle", false)) {
      print() << "  " << name << ": " << says.value("doing", "") << "\n";
      none = false;
    }
  }
  if (none)
    print() << "  nobody\n";
  print() << "Estimate: " << (estimate > 0 ? "about " + show_seconds(estimate) : "milliseconds")
          << "\n";
}

/// What the mode changes of the plan, which is the same for all that end the service.
const char* effect_of(stop_mode mode) {
  switch (mode) {
    case stop_mode::lame_duck: break;
    case stop_mode::graceful: return "Requests in flight are finished.";
    case stop_mode::fast: return "Requests in flight are answered 503.";
    case stop_mode::immediate:
      return "Immediate: the process ends at once, and nobody is released in any order.";
  }
  return "A lame duck releases nobody: readiness fails, and everything still works until a stop.";
}

void dry_run(const command_context& context, stop_mode mode) {
  admin_client client{context};
  auto plan = client.call(admin_wire::method_plan, json::object(), context.timeout_or(3s));
  auto status = client.call(admin_wire::method_status, json::object(), context.timeout_or(3s));
  if (context.json) {
    print_json({{"mode", to_string(mode)}, {"plan", plan}, {"status", status}}, 2);
    return;
  }
  if (mode == stop_mode::lame_duck || mode == stop_mode::immediate) {
    print() << effect_of(mode) << "\nNothing was changed.\n";
    return;
  }
  print() << "A stop that begins now would release, in this order:\n\n";
  table rows{{"ACTOR", "BUDGET", "LATE", "RELEASED"}};
  for (const auto& actor : plan["actors"])
    rows.push_back({actor.value("actor", "?"), milliseconds(actor, "budgetMs"),
                    "at " + milliseconds(actor, "limitMs"), joined(actor["after"])});
  print_table(rows);
  print() << "\n"
          << effect_of(mode) << "\nDeadline " << milliseconds(plan, "deadlineMs")
          << ", forced exit "
          << (plan.contains("hardMs") ? "at " + milliseconds(plan, "hardMs") : "never");
  if (plan.contains("managerMs"))
    print() << ", systemd kills at " << milliseconds(plan, "managerMs");
  print() << "\n";
  if (plan.contains("managerMs") && plan.contains("hardMs")
      && plan["managerMs"].get<double>() <= plan["hardMs"].get<double>())
    print() << paint(colour::yellow,
                     "systemd would kill before our own deadline; see: phictl doctor")
            << "\n";
  print_blockers(status);
  print() << "Nothing was changed.\n";
}

/// One line of progress: over the last one on a terminal, a line of its own elsewhere.
class progress_line {
public:
  ~progress_line() {
    if (terminal_ && !shown_.empty())
      warn() << "\n";
  }
  void show(const std::string& text) {
    if (text == shown_)
      return;
    shown_ = text;
    if (terminal_)
      warn() << "\r\033[K" << text;
    else
      warn() << text << "\n";
  }

private:
  bool terminal_ = is_terminal(standard_error);
  std::string shown_;
};

std::string who_holds(const json& status) {
  std::string out;
  for (const auto& actor : status["actors"])
    if (actor.value("state", "") != to_string(actor_state::gone))
      out += (out.empty() ? "" : "; ") + actor.value("actor", "?") + ": "
             + (actor.contains("says") ? actor["says"].value("doing", "") : "no answer");
  return status.value("state", "?") + (out.empty() ? "" : ": " + out);
}

/// A service in its last seconds may answer late, or lose a question with the actor that had it.
bool comes_back(const failure& trouble) {
  return trouble.status() == exit_status::timed_out || trouble.helps() == remedy::later;
}

/// Follows the stop on the connection until the service ends it, which it does last.
void follow(admin_client& client, steady::time_point until) {
  progress_line line;
  try {
    while (steady::now() < until) {
      line.show(who_holds(client.query(admin_wire::method_status, json::object(), 2s)));
      client.wait_for_end(std::min(until, steady::now() + 250ms));
    }
  } catch (const failure& gone) {
    if (gone.status() == exit_status::not_running)
      return;
    if (!comes_back(gone))
      throw;
  }
}

run_key run_in(const json& answer) {
  return {answer.value("pid", 0), answer.value("runId", "")};
}

/// Waits until nobody answers at the socket any more, or another run does.
void wait_until_gone(const command_context& context, const run_key& run, steady::time_point until) {
  while (steady::now() < until) {
    try {
      admin_client connection{context};
      auto running = run_in(connection.query(admin_wire::method_status, json::object(), 2s));
      if (running.pid != run.pid || running.id != run.id)
        return;
      follow(connection, until);
    } catch (const failure& gone) {
      if (gone.status() == exit_status::not_running)
        return;
      if (!comes_back(gone))
        throw;
    }
  }
  throw failure{exit_status::timed_out, "the service has not stopped yet; see: phictl status"};
}

/// The exit status is the service's own.
void print_end(const command_context& context, const json& began) {
  auto run = run_in(began);
  auto report = read_exit_report(began.value("stateDirectory", ""), run);
  if (context.json)
    print_json(report, 2);
  if (report.value("crashed", false))
    throw failure{exit_status::failed, "the service (process " + std::to_string(run.pid)
                                         + ") was killed, or crashed, before its stop was over: it"
                                           " left no report"};
  if (!context.json)
    print() << "The service has stopped: " << report.value("exitText", "?") << ", in "
            << show_seconds(report.value("tookMs", 0.0) / 1000) << "\n";
  if (int code = report.value("exitCode", 0); code != 0)
    throw failure{static_cast<exit_status>(code), ""};
}

void stop_by_socket(const command_context& context, const stop_options& options) {
  admin_client client{context};
  auto accepted =
    client.call(admin_wire::method_stop, {{"mode", options.mode}}, context.timeout_or(5s));
  if (parse_stop_mode(options.mode) == stop_mode::lame_duck) {
    print() << "The service is a lame duck; undo it with: phictl undrain\n";
    return;
  }
  if (!options.wait) {
    print() << "The service begins to stop; follow it with: phictl status --watch\n";
    return;
  }
  auto until = steady::now() + context.timeout_or(1h);
  follow(client, until);
  wait_until_gone(context, run_in(accepted), until);
  print_end(context, accepted);
}

void stop_by_systemd(const command_context& context, const stop_options& options) {
  // The socket first: a connection would start the service again.
  const std::vector<std::string> units{socket_unit(context), context.unit};
  if (!options.wait) {
    systemctl({"stop", units[0], units[1]});
    print() << context.unit << " is stopped\n";
    return;
  }
  admin_client client{context};
  auto status = client.call(admin_wire::method_status, json::object(), context.timeout_or(5s));
  systemctl({"stop", "--no-block", units[0], units[1]});
  auto until = steady::now() + context.timeout_or(1h);
  follow(client, until);
  wait_until_gone(context, run_in(status), until);
  print_end(context, status);
}

void stop(const command_context& context, const stop_options& options) {
  if (options.dry_run)
    return dry_run(context, parse_stop_mode(options.mode).value_or(stop_mode::graceful));
  if (context.socket.empty() && parse_stop_mode(options.mode) == stop_mode::graceful
      && unit_installed(context))
    return stop_by_systemd(context, options);
  stop_by_socket(context, options);
}

} // namespace

void add_stop(CLI::App& app, command_context& context) {
  auto options = std::make_shared<stop_options>();
  auto* command = app.add_subcommand("stop", "Stop the service");
  command
    ->add_option("--mode", options->mode,
                 "How: requests in flight finish (graceful) or are"
                 " refused (fast); lame-duck only fails readiness")
    ->check(CLI::IsMember({"lame-duck", "graceful", "fast", "immediate"}))
    ->capture_default_str();
  command->add_flag("--wait", options->wait,
                    "Show who holds the stop, and end with the service's own exit status");
  command->add_flag("--dry-run", options->dry_run,
                    "Show the plan, the order and who is in the way; change nothing");
  command->footer("Example: phictl stop --wait")->callback([&context, options] {
    stop(context, *options);
  });
}

} // namespace phi::ctl
