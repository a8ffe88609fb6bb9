#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

void restart(const command_context& context) {
  if (!unit_installed(context))
    no_unit(context, "restart");
  systemctl({"restart", context.unit});
  print() << context.unit << " is " << paint(colour::green, "ready") << "\n";
}

} // namespace

void add_restart(CLI::App& app, command_context& context) {
  app.add_subcommand("restart", "Restart the service; with the socket unit nobody is refused")
    ->footer("Example: phictl restart")
    ->callback([&context] { restart(context); });
}

} // namespace phi::ctl
