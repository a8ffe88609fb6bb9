#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

void drain(const command_context& context, bool on) {
  auto answer =
    ask(context, on ? admin_wire::method_drain : admin_wire::method_undrain, json::object(), 3s);
  if (context.json)
    print_json(answer);
  else
    print() << (on ? "The service is a lame duck: not ready, but everything still works."
                     " Undo it with: phictl undrain"
                   : "The service is ready again")
            << "\n";
}

} // namespace

void add_drain(CLI::App& app, command_context& context) {
  app.add_subcommand("drain", "Make it a lame duck: readiness fails, everything still works")
    ->footer("Example: phictl drain")
    ->callback([&context] { drain(context, true); });
}

void add_undrain(CLI::App& app, command_context& context) {
  app.add_subcommand("undrain", "Make it ready again after drain")
    ->footer("Example: phictl undrain")
    ->callback([&context] { drain(context, false); });
}

} // namespace phi::ctl
