#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/stop_command.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

/// Runs systemctl and turns its status into ours; it has said itself what went wrong.
void systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), "systemctl");
  if (run(words) != 0)
    throw failure{exit_status::failed, "systemctl has failed; see: phictl logs"};
}

void start(const command_context& context) {
  if (!unit_installed(context))
    no_unit(context, "start");
  systemctl({"start", context.unit});
  print() << context.unit << " is " << paint(colour::green, "ready") << "\n";
}

void restart(const command_context& context) {
  if (!unit_installed(context))
    no_unit(context, "restart");
  systemctl({"restart", context.unit});
  print() << context.unit << " is " << paint(colour::green, "ready") << "\n";
}

void enable(const command_context& context, bool on) {
  if (!unit_installed(context))
    no_unit(context, on ? "enable" : "disable");
  systemctl({on ? "enable" : "disable", context.unit, socket_unit(context)});
}

void logs(const command_context& context, bool follow, int lines) {
  if (!unit_installed(context))
    throw failure{exit_status::failed,
                  "there is no unit " + context.unit
                    + " here, so there is no journal of it: phi-backend writes its log to stderr"};
  std::vector<std::string> command{"journalctl", "--unit=" + context.unit,
                                   "--lines=" + std::to_string(lines)};
  if (context.json)
    command.push_back("--output=json");
  command.push_back(follow ? "--follow" : "--no-pager");
  if (run(command) != 0)
    throw failure{exit_status::failed, "journalctl has failed"};
}

} // namespace

void add_service_commands(CLI::App& app, command_context& context) {
  app.add_subcommand("start", "Start the service and wait until it is ready")
    ->footer("Example: phictl start")
    ->callback([&context] { start(context); });

  auto wishes = std::make_shared<stop_wishes>();
  auto* stopping = app.add_subcommand("stop", "Stop the service");
  stopping
    ->add_option("--mode", wishes->mode,
                 "How: requests in flight finish (graceful) or are"
                 " refused (fast); lame-duck only fails readiness")
    ->check(CLI::IsMember({"lame-duck", "graceful", "fast", "immediate"}))
    ->capture_default_str();
  stopping->add_flag("--wait", wishes->wait,
                     "Show who holds the stop, and end with the service's own exit status");
  stopping->add_flag("--dry-run", wishes->dry_run,
                     "Show the plan, the order and who is in the way; change nothing");
  stopping->footer("Example: phictl stop --wait")->callback([&context, wishes] {
    stop(context, *wishes);
  });

  app.add_subcommand("restart", "Restart the service; with the socket unit nobody is refused")
    ->footer("Example: phictl restart")
    ->callback([&context] { restart(context); });
  app.add_subcommand("enable", "Have the service started at boot")
    ->footer("Example: phictl enable")
    ->callback([&context] { enable(context, true); });
  app.add_subcommand("disable", "No longer have the service started at boot")
    ->footer("Example: phictl disable")
    ->callback([&context] { enable(context, false); });

  auto follow = std::make_shared<bool>(false);
  auto lines = std::make_shared<int>(50);
  auto* log = app.add_subcommand("logs", "Show the service's log");
  log->add_flag("-f,--follow", *follow, "Go on showing new lines");
  log->add_option("-n,--lines", *lines, "How many lines to begin with")
    ->check(CLI::Range(0, 1'000'000))
    ->capture_default_str();
  log->footer("Example: phictl logs -f")->callback([&context, follow, lines] {
    logs(context, *follow, *lines);
  });
}

} // namespace phi::ctl
