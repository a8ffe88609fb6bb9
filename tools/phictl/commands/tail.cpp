#include "protocol/admin.hpp"
#include "protocol/questions.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct tail_options {
  std::string feature; ///< empty: all
  int lines = 20;
  bool follow = false;
};

void print_event(const command_context& context, const json& event) {
  if (context.json) {
    print_json(event);
    return;
  }
  print() << paint(colour::grey, event.value("time", "")) << " ";
  for (auto name : {"feature", "action", "method", "route", "instance"})
    if (event.contains(name))
      print() << " " << event[name].get<std::string>();
  if (event.contains("status")) {
    auto status = event["status"].get<int>();
    print() << " " << paint(status >= 400 ? colour::red : colour::none, std::to_string(status));
  }
  if (event.contains("durationMs"))
    print() << " " << show_json(event["durationMs"]) << " ms";
  print() << "\n";
}

void tail(const command_context& context, const tail_options& options) {
  admin_client client{context};
  json params{{"limit", options.lines}};
  if (!options.feature.empty())
    params["feature"] = options.feature;
  auto went_on = steady::now();
  for (;;) {
    auto answer = client.query(admin_wire::method_events, params, context.timeout_or(10s));
    for (const auto& event : answer["events"])
      print_event(context, event);
    print().flush();
    if (!options.follow)
      return;
    if (!answer.value("held", false) || params.value("after", int64_t{-1}) != answer["last"])
      went_on = steady::now();
    params["overGaps"] = steady::now() - went_on > gap_patience;
    params["after"] = answer["last"];
    params["limit"] = 1000;
    if (answer["events"].size() < 1000)
      client.wait_for_end(steady::now() + 250ms);
  }
}

} // namespace

void add_tail(CLI::App& app, command_context& context) {
  auto options = std::make_shared<tail_options>();
  auto* command = app.add_subcommand("tail", "Show the last events");
  command->add_option("--feature", options->feature, "Only this feature");
  command->add_option("-n,--lines", options->lines, "How many")
    ->check(CLI::Range(1, 1000))
    ->capture_default_str();
  command->add_flag("-f,--follow", options->follow, "Go on showing new ones");
  command->footer("Example: phictl tail -f --feature login")->callback([&context, options] {
    tail(context, *options);
  });
}

} // namespace phi::ctl
