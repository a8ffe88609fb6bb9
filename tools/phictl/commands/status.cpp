#include "protocol/admin.hpp"
#include "protocol/names.hpp"
#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/terminal.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

struct status_options {
  bool watch = false;
};

json ask_status(const command_context& context) {
  return ask(context, admin_wire::method_status, json::object(), 3s);
}

/// What the listener has answered.
void print_requests(const json& status) {
  for (const auto& actor : status["actors"]) {
    if (actor.value("actor", std::string{}) != actor_name::http || !actor.contains("says"))
      continue;
    const auto gauges = actor["says"].value("gauges", json::object());
    auto count = [&](const char* name) { return group_digits(gauges.value(name, uint64_t{0})); };
    print() << "requests     answered " << count("requests") << ", of these refused "
            << count("refused") << ", over their rate limit " << count("rate_limited") << "\n";
  }
}

void print_status(const command_context& context, const json& status) {
  auto state = status.value("state", "?");
  print() << paint(colour::bold, "phi-backend") << " " << status.value("version", "?") << "  "
          << paint(colour_of_state(state), state) << "  for "
          << show_seconds(status.value("uptimeSeconds", 0.0)) << "\n";
  if (context.socket.empty() && unit_installed(context))
    print() << "unit         " << context.unit << "  " << unit_property(context, "ActiveState")
            << ", " << unit_property(context, "UnitFileState") << "\n";
  for (const auto& listener : status.value("listeners", json::array()))
    print() << "listens      " << listener.get<std::string>() << "\n";
  if (status.contains("ledger")) {
    const auto& ledger = status["ledger"];
    auto count = [&](const char* name) { return group_digits(ledger.value(name, uint64_t{0})); };
    print() << "ledger       received " << count("received") << " = stored " << count("stored")
            << " + duplicates " << count("duplicates") << " + rejected " << count("rejected")
            << " + spooled " << count("spooled") << " + set aside " << count("setAside")
            << " + in queue " << count("inQueue") << "  "
            << (ledger.value("balanced", false) ? paint(colour::green, "balanced")
                                                : paint(colour::red, "NOT BALANCED"))
            << "\n";
  }
  print_requests(status);
  if (status.contains("stop"))
    print() << "stop         " << status["stop"].value("mode", "") << ", because of "
            << status["stop"].value("reason", "") << "\n";
  table rows{{"ACTOR", "STATE", "RESTARTS", "DOING"}};
  for (const auto& actor : status["actors"]) {
    auto life = actor.value("state", "?");
    rows.push_back({actor.value("actor", "?"), paint(colour_of_state(life), life),
                    std::to_string(actor.value("restarts", 0)),
                    actor.contains("says") ? actor["says"].value("doing", "") : "no answer"});
  }
  print() << "\n";
  print_table(rows);
}

void status(const command_context& context) {
  try {
    auto answer = ask_status(context);
    if (context.json)
      print_json(answer, 2);
    else
      print_status(context, answer);
  } catch (const failure& gone) {
    if (gone.status() != exit_status::not_running || context.json || !context.socket.empty()
        || !unit_installed(context))
      throw;
    print() << context.unit << "  "
            << paint(colour_of_state(unit_property(context, "ActiveState")),
                     unit_property(context, "ActiveState"))
            << "  " << unit_property(context, "StatusText") << "\n";
    throw failure{exit_status::not_running,
                  "the service is not running. Start it with: phictl start"};
  }
}

/// Renews it every second: over the last one on a terminal, one below the other elsewhere.
void watch(const command_context& context) {
  admin_client client{context};
  bool terminal = is_terminal(standard_output);
  for (;;) {
    auto answer = client.query(admin_wire::method_status, json::object(), context.timeout_or(3s));
    if (terminal)
      print() << "\033[H\033[J";
    if (context.json)
      print_json(answer);
    else
      print_status(context, answer);
    print().flush();
    client.wait_for_end(std::chrono::steady_clock::now() + 1s);
  }
}

} // namespace

void add_status(CLI::App& app, command_context& context) {
  auto options = std::make_shared<status_options>();
  auto* command = app.add_subcommand("status", "Show how the service is: state, ledger, actors");
  command->add_flag("-w,--watch", options->watch, "Renew it every second");
  command->footer("Example: phictl status --watch")->callback([&context, options] {
    options->watch ? watch(context) : status(context);
  });
}

} // namespace phi::ctl
