#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/trace_diagram.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

struct trace_on_options {
  bool log = false;
  bool user_data = false;
  std::vector<std::string> actors;
  std::vector<std::string> messages;
};

void trace_on(const command_context& context, const trace_on_options& options) {
  ask(context, admin_wire::method_trace_on,
      {{"log", options.log},
       {"userData", options.user_data},
       {"actors", options.actors},
       {"messages", options.messages}});
  if (context.json)
    return print_json({{"tracing", true}, {"log", options.log}});
  print() << "Tracing is on" << (options.log ? ", in the log" : "")
          << "; write it out with: phictl trace dump FILE.json\n";
}

void trace_dump(const command_context& context, const std::string& file) {
  admin_client client{context};
  std::ofstream out{file};
  auto fail_unless_written = [&] {
    if (!out)
      throw failure{exit_status::failed, "cannot write " + file + ": " + std::strerror(errno)};
  };
  fail_unless_written();
  out << "[\n";
  size_t lines = 0;
  uint64_t dropped = 0;
  for (json from = 0; !from.is_null();) {
    auto page =
      client.call(admin_wire::method_trace_read, {{"from", from}}, context.timeout_or(10s));
    for (const auto& line : page["lines"])
      out << (lines++ ? ",\n" : "") << line.get<std::string>();
    fail_unless_written();
    dropped = page.value("dropped", uint64_t{0});
    from = page.contains("next") ? page["next"] : json{};
  }
  out << "\n]\n";
  out.close();
  fail_unless_written();
  if (context.json)
    return print_json({{"file", file}, {"lines", lines}, {"dropped", dropped}});
  print() << file << " has " << group_digits(lines) << " lines";
  if (dropped > 0)
    print() << "; " << group_digits(dropped) << " older ones were pushed out";
  print() << ". Open it in https://ui.perfetto.dev\n";
}

} // namespace

void add_trace(CLI::App& app, command_context& context) {
  auto* trace = app.add_subcommand("trace", "See the messages between the actors");
  trace->require_subcommand(1);
  trace->footer("Example: phictl trace on && sleep 5 && phictl trace dump now.json");
  auto options = std::make_shared<trace_on_options>();
  auto* on = trace->add_subcommand("on", "Switch tracing on");
  on->add_flag("--log", options->log, "Write each message to the log as well");
  on->add_flag("--user-data", options->user_data, "Show what users sent, too");
  on->add_option("--actor", options->actors, "Only what this actor handles; may be repeated");
  on->add_option("--message", options->messages, "Only this message; may be repeated");
  on->footer("Example: phictl trace on --actor stats --message commit")
    ->callback([&context, options] { trace_on(context, *options); });
  trace->add_subcommand("off", "Switch tracing off")
    ->footer("Example: phictl trace off")
    ->callback([&context] {
      ask(context, admin_wire::method_trace_off);
      if (context.json)
        return print_json({{"tracing", false}});
      print() << "Tracing is off\n";
    });
  auto file = std::make_shared<std::string>();
  auto* dump = trace->add_subcommand("dump", "Write what was traced to a file for Perfetto");
  dump->add_option("FILE", *file, "The file to write")->required();
  dump->footer("Example: phictl trace dump now.json")->callback([&context, file] {
    trace_dump(context, *file);
  });
  auto from = std::make_shared<std::string>();
  auto* diagram =
    trace->add_subcommand("diagram", "Print the stop in a trace as a Mermaid sequence diagram");
  diagram->add_option("FILE", *from, "A trace, such as of PHI_TRACE=FILE")
    ->required()
    ->check(CLI::ExistingFile);
  diagram->footer("Example: phictl trace diagram stop.json > stop.mmd")->callback([from] {
    for (const auto& line : stop_diagram(*from))
      print() << line << "\n";
  });
}

} // namespace phi::ctl
