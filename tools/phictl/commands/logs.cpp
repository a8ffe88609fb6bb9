#include "tools/phictl/commands.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

struct logs_options {
  bool follow = false;
  int lines = 50; ///< to begin with
};

void logs(const command_context& context, const logs_options& options) {
  if (!unit_installed(context))
    throw failure{exit_status::failed,
                  "there is no unit " + context.unit
                    + " here, so there is no journal of it: phi-backend writes its log to stderr"};
  std::vector<std::string> command{"journalctl", "--unit=" + context.unit,
                                   "--lines=" + std::to_string(options.lines)};
  if (context.json)
    command.push_back("--output=json");
  command.push_back(options.follow ? "--follow" : "--no-pager");
  if (run(command) != 0)
    throw failure{exit_status::failed, "journalctl has failed"};
}

} // namespace

void add_logs(CLI::App& app, command_context& context) {
  auto options = std::make_shared<logs_options>();
  auto* command = app.add_subcommand("logs", "Show the service's log");
  command->add_flag("-f,--follow", options->follow, "Go on showing new lines");
  command->add_option("-n,--lines", options->lines, "How many lines to begin with")
    ->check(CLI::Range(0, 1'000'000))
    ->capture_default_str();
  command->footer("Example: phictl logs -f")->callback([&context, options] {
    logs(context, *options);
  });
}

} // namespace phi::ctl
