#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

void actors(const command_context& context) {
  auto status = ask(context, admin_wire::method_status);
  if (context.json) {
    print_json(status["actors"], 2);
    return;
  }
  table rows{{"ACTOR", "STATE", "RESTARTS", "MAILBOX", "PROGRESS", "CPU", "LAST", "DOING"}};
  for (const auto& actor : status["actors"]) {
    auto says = actor.value("says", json::object());
    auto cpu = says.value("processorMs", -1.0);
    auto state = actor.value("state", "?");
    rows.push_back(
      {actor.value("actor", "?"), paint(colour_of_state(state), state),
       std::to_string(actor.value("restarts", 0)), std::to_string(says.value("mailbox", 0)),
       group_digits(says.value("progress", uint64_t{0})), cpu < 0 ? "-" : show_seconds(cpu / 1000),
       says.value("last", ""), actor.contains("says") ? says.value("doing", "") : "no answer"});
  }
  print_table(rows);
  if (!context.json)
    print() << "CPU is that of the actor's thread; http, stats, signal and admin share two.\n";
}

} // namespace

void add_actors(CLI::App& app, command_context& context) {
  app.add_subcommand("actors", "Show every actor: mailbox, progress, processor time, last message")
    ->footer("Example: phictl actors")
    ->callback([&context] { actors(context); });
}

} // namespace phi::ctl
