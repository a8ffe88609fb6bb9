#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

struct log_level_options {
  std::string level; ///< empty: show it only
};

void log_level(const command_context& context, const log_level_options& options) {
  auto params = json::object();
  if (!options.level.empty())
    params["level"] = options.level;
  auto answer = ask(context, admin_wire::method_log_level, params);
  if (context.json)
    print_json(answer);
  else if (options.level.empty())
    print() << answer.value("level", "?") << "\n";
  else
    print() << "log level: " << answer.value("before", "?") << " -> " << answer.value("level", "?")
            << ", until the next reload or restart\n";
}

} // namespace

void add_log_level(CLI::App& app, command_context& context) {
  auto options = std::make_shared<log_level_options>();
  auto* command = app.add_subcommand("log-level", "Show or set the least level that is logged");
  command->add_option("LEVEL", options->level, "trace, debug, info, warn or error")
    ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  command->footer("Example: phictl log-level debug")->callback([&context, options] {
    log_level(context, *options);
  });
}

} // namespace phi::ctl
