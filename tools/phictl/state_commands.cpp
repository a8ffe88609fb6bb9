#include "protocol/admin.hpp"
#include "protocol/ask_listener.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <unistd.h>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

json ask_status(const command_context& context) {
  return ask(context, admin_wire::method_status, json::object(), 3s);
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
    auto count = [&](const char* what) { return group_digits(ledger.value(what, uint64_t{0})); };
    print() << "ledger       received " << count("received") << " = stored " << count("stored")
            << " + duplicates " << count("duplicates") << " + rejected " << count("rejected")
            << " + spooled " << count("spooled") << " + set aside " << count("setAside")
            << " + in queue " << count("inQueue") << "  "
            << (ledger.value("balanced", false) ? paint(colour::green, "balanced")
                                                : paint(colour::red, "NOT BALANCED"))
            << "\n";
  }
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
  bool terminal = ::isatty(STDOUT_FILENO);
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

/// Where the service listens is asked as well, as a client would: the admin socket may work while
/// the door is shut.
void ask_listeners(const json& listeners, std::vector<std::string>& troubles) {
  for (const auto& listener : listeners) {
    std::atomic<bool> never{false};
    auto answered = ask_listener(listener.get<std::string>(), "", 3s, never);
    if (!answered)
      troubles.push_back("public listener: " + answered.why());
  }
}

void health(const command_context& context) {
  auto answer = ask_status(context);
  auto whole = ask(context, admin_wire::method_health, json::object(), 3s);
  auto state = answer.value("state", "?");
  auto troubles = whole.value("causes", std::vector<std::string>{});
  const auto codes = whole.value("causeCodes", json::array());
  auto told = [&](const std::string& part) {
    return std::any_of(codes.begin(), codes.end(),
                       [&](const json& cause) { return cause.value("part", "") == part; });
  };
  for (const auto& actor : answer["actors"]) {
    auto name = actor.value("actor", "?");
    if (told(name))
      continue;
    if (actor.value("state", "") != to_string(actor_state::running))
      troubles.push_back(name + ": is " + actor.value("state", "?"));
    else if (actor.contains("says") && actor["says"].contains("degraded"))
      troubles.push_back(name + ": " + actor["says"].value("degraded", ""));
  }
  if (!told(part_name::public_listener))
    ask_listeners(answer.value("listeners", json::array()), troubles);
  bool well = state == to_string(service_state::ready) && troubles.empty();
  std::string word = well ? "healthy" : troubles.empty() ? "not healthy" : "degraded";
  if (context.json) {
    print_json({{"healthy", well},
                {"status", troubles.empty() ? "ok" : "degraded"},
                {"state", state},
                {"troubles", troubles}});
  } else {
    print() << paint(well ? colour::green : colour::red, word) << ": the service is " << state
            << "\n";
    for (const auto& trouble : troubles)
      print() << "  " << trouble << "\n";
  }
  if (!well)
    throw failure{exit_status::failed, ""};
}

void reload(const command_context& context) {
  auto report = ask(context, admin_wire::method_reload, json::object(), 15s);
  if (context.json) {
    print_json(report, 2);
    return;
  }
  auto list = [&](const char* what, const std::string& head, colour with_colour) {
    for (const auto& line : report[what])
      print() << paint(with_colour, head) << line.get<std::string>() << "\n";
  };
  list("changed", "changed        ", colour::green);
  list("needsRestart", "needs restart  ", colour::yellow);
  list("warnings", "warning        ", colour::yellow);
  if (report["changed"].empty() && report["needsRestart"].empty())
    print() << "Nothing has changed\n";
}

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

void add_state_commands(CLI::App& app, command_context& context) {
  auto watching = std::make_shared<bool>(false);
  auto* showing = app.add_subcommand("status", "Show how the service is: state, ledger, actors");
  showing->add_flag("-w,--watch", *watching, "Renew it every second");
  showing->footer("Example: phictl status --watch")->callback([&context, watching] {
    *watching ? watch(context) : status(context);
  });
  app.add_subcommand("health", "Say whether the service is healthy, by the exit status too")
    ->footer("Example: phictl health || echo not healthy")
    ->callback([&context] { health(context); });
  app.add_subcommand("reload", "Read the configuration again; on any error nothing changes")
    ->footer("Example: phictl reload")
    ->callback([&context] { reload(context); });
  app.add_subcommand("drain", "Make it a lame duck: readiness fails, everything still works")
    ->footer("Example: phictl drain")
    ->callback([&context] { drain(context, true); });
  app.add_subcommand("undrain", "Make it ready again after drain")
    ->footer("Example: phictl undrain")
    ->callback([&context] { drain(context, false); });
}

} // namespace phi::ctl
