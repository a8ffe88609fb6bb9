#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

struct config_show_options {
  std::string part; ///< of the keys that are shown; empty: all
};

void config_show(const command_context& context, const config_show_options& options) {
  auto answer = ask(context, admin_wire::method_config);
  auto wanted = json::array();
  for (const auto& setting : answer["settings"])
    if (setting.value("key", "").find(options.part) != std::string::npos)
      wanted.push_back(setting);
  if (wanted.empty())
    throw failure{exit_status::failed, "no key has \"" + options.part + "\" in its name"};
  if (context.json) {
    print_json(wanted, 2);
    return;
  }
  table rows{{"KEY", "VALUE", "FROM"}};
  for (const auto& setting : wanted)
    rows.push_back(
      {setting.value("key", ""), setting.value("value", ""), setting.value("origin", "")});
  print_table(rows);
}

void config_diff(const command_context& context, bool only_check) {
  auto answer = ask(context, admin_wire::method_config_diff);
  if (context.json) {
    print_json(answer, 2);
    return;
  }
  if (only_check) {
    print() << "The configuration is fine.\n";
    return;
  }
  for (const auto& line : answer["live"])
    print() << paint(colour::green, "by reload   ") << line.get<std::string>() << "\n";
  for (const auto& line : answer["needsRestart"])
    print() << paint(colour::yellow, "by restart  ") << line.get<std::string>() << "\n";
  if (answer["live"].empty() && answer["needsRestart"].empty())
    print() << "The file and the environment say what is in effect.\n";
}

} // namespace

void add_config(CLI::App& app, command_context& context) {
  auto* config = app.add_subcommand("config", "Look at the configuration in effect");
  config->require_subcommand(1);
  config->footer("Example: phictl config show shutdown");
  auto options = std::make_shared<config_show_options>();
  auto* show = config->add_subcommand("show", "Show the values in effect and where each came from");
  show->add_option("PART", options->part, "Only keys with this in their name");
  show->footer("Example: phictl config show shutdown")->callback([&context, options] {
    config_show(context, *options);
  });
  config->add_subcommand("check", "Check the file and the environment as a reload would")
    ->footer("Example: phictl config check")
    ->callback([&context] { config_diff(context, true); });
  config->add_subcommand("diff", "Show what a reload and a restart would change")
    ->footer("Example: phictl config diff")
    ->callback([&context] { config_diff(context, false); });
}

} // namespace phi::ctl
