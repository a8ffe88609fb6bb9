#include "protocol/closest.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace phi::ctl;

constexpr auto footer =
  "Without --socket the admin socket is looked for in $RUNTIME_DIRECTORY, /run/phi-backend and\n"
  "./data. Where the unit is installed, start, stop, restart, enable and logs use systemd.\n\n"
  "Exit status: 0 done, 1 refused or failed, 2 usage, 3 not running, 4 timed out.\n"
  "Colours: on a terminal, unless NO_COLOR is set.\n\n"
  "Example:\n  phictl status\n  phictl stop --mode fast";

/// Names a command that does not exist: CLI11 says only that one is missing.
std::string unknown_command(const CLI::App& app) {
  auto left = app.remaining();
  if (left.empty() || left.front().starts_with('-'))
    return {};
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(command->get_name());
  auto best = phi::closest(left.front(), known);
  return "there is no command " + left.front()
         + (best.empty() ? "; see --help" : "; did you mean " + best + "?");
}

} // namespace

int main(int argc, char** argv) {
  auto name = std::filesystem::path{argc > 0 ? argv[0] : "phictl"}.filename().string();
  CLI::App app{"phictl: an operator's window into phi-backend", name};
  context with;
  double timeout = 0;
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", with.json, "Print JSON");
  app.add_option("--socket", with.socket, "The admin socket of the service")->type_name("PATH");
  app.add_option("--timeout", timeout, "Give up after this many seconds")
    ->type_name("SECONDS")
    ->check(CLI::Range(0.001, 86'400.0));
  app.add_option("--unit", with.unit, "The systemd unit of the service")
    ->type_name("UNIT")
    ->capture_default_str();
  app.set_version_flag("--version", name + " " PHI_VERSION);
  app.footer(footer);
  app.parse_complete_callback(
    [&] { with.timeout = std::chrono::milliseconds{static_cast<int64_t>(timeout * 1000)}; });
  add_service_commands(app, with);
  add_state_commands(app, with);
  add_inspect_commands(app, with);
  add_ingest_commands(app, with);
  add_data_commands(app, with);
  add_stats_commands(app, with);
  add_token_commands(app, with);
  add_cluster_commands(app, with);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& e) {
    auto unknown = unknown_command(app);
    if (unknown.empty())
      app.exit(e);
    else
      std::cerr << name << ": " << unknown << "\n";
    return static_cast<int>(outcome::usage);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(outcome::usage);
  } catch (const failure& e) {
    if (*e.what() != '\0')
      std::cerr << name << ": " << e.what() << "\n";
    return static_cast<int>(e.how());
  }
  return 0;
}
