#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

void dump(const command_context& context) {
  ask(context, admin_wire::method_dump);
  if (context.json)
    return print_json({{"dumped", true}});
  print() << "The state is in the log"
          << (unit_installed(context) ? "; see: phictl logs" : " of the service") << "\n";
}

} // namespace

void add_dump(CLI::App& app, command_context& context) {
  app.add_subcommand("dump", "Write the state of everything to the log")
    ->footer("Example: phictl dump")
    ->callback([&context] { dump(context); });
}

} // namespace phi::ctl
