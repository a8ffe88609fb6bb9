#include "protocol/admin.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/platform/ask_listener.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

/// Where the service listens is asked as well, as a client would: the admin socket may work while
/// the listener is shut.
void ask_listeners(const json& listeners, std::vector<std::string>& troubles) {
  for (const auto& listener : listeners) {
    std::atomic<bool> never{false};
    auto answered = ask_listener(listener.get<std::string>(), "", 3s, never);
    if (!answered)
      troubles.push_back("public listener: " + answered.why());
  }
}

void health(const command_context& context) {
  auto answer = ask(context, admin_wire::method_status, json::object(), 3s);
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

} // namespace

void add_health(CLI::App& app, command_context& context) {
  app.add_subcommand("health", "Say whether the service is healthy, by the exit status too")
    ->footer("Example: phictl health || echo not healthy")
    ->callback([&context] { health(context); });
}

} // namespace phi::ctl
