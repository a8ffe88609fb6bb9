#include "tools/phictl/commands.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

void enable(const command_context& context, bool on) {
  if (!unit_installed(context))
    no_unit(context, on ? "enable" : "disable");
  systemctl({on ? "enable" : "disable", context.unit, socket_unit(context)});
}

} // namespace

void add_enable(CLI::App& app, command_context& context) {
  app.add_subcommand("enable", "Have the service started at boot")
    ->footer("Example: phictl enable")
    ->callback([&context] { enable(context, true); });
}

void add_disable(CLI::App& app, command_context& context) {
  app.add_subcommand("disable", "No longer have the service started at boot")
    ->footer("Example: phictl disable")
    ->callback([&context] { enable(context, false); });
}

} // namespace phi::ctl
