#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

void reload(const command_context& context) {
  auto report = ask(context, admin_wire::method_reload, json::object(), 15s);
  if (context.json) {
    print_json(report, 2);
    return;
  }
  auto list = [&](const char* key, const std::string& head, colour with_colour) {
    for (const auto& line : report[key])
      print() << paint(with_colour, head) << line.get<std::string>() << "\n";
  };
  list("changed", "changed        ", colour::green);
  list("needsRestart", "needs restart  ", colour::yellow);
  list("warnings", "warning        ", colour::yellow);
  if (report["changed"].empty() && report["needsRestart"].empty())
    print() << "Nothing has changed\n";
}

} // namespace

void add_reload(CLI::App& app, command_context& context) {
  app.add_subcommand("reload", "Read the configuration again; on any error nothing changes")
    ->footer("Example: phictl reload")
    ->callback([&context] { reload(context); });
}

} // namespace phi::ctl
