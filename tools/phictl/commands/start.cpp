#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

void start(const command_context& context) {
  if (!unit_installed(context))
    no_unit(context, "start");
  systemctl({"start", context.unit});
  print() << context.unit << " is " << paint(colour::green, "ready") << "\n";
}

} // namespace

void add_start(CLI::App& app, command_context& context) {
  app.add_subcommand("start", "Start the service and wait until it is ready")
    ->footer("Example: phictl start")
    ->callback([&context] { start(context); });
}

} // namespace phi::ctl
