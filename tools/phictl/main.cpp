#include "protocol/platform/descriptor.hpp"
#include "protocol/text/closest.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace phi::ctl;

constexpr auto footer =
  "Without --socket the admin socket is looked for in $RUNTIME_DIRECTORY, /run/phi-backend and\n"
  "./data. Where the unit is installed, start, stop, restart, enable and logs use systemd.\n\n"
  "Exit status: 0 done, 1 refused or failed, 2 usage, 3 not running, 4 timed out.\n"
  "Colours: on a terminal, unless NO_COLOR is set.\n\n"
  "Example:\n  phictl status\n  phictl stop --mode fast";

/// In the order of --help.
constexpr std::array commands{add_start,     add_stop,   add_restart, add_enable,    add_disable,
                              add_logs,      add_status, add_health,  add_reload,    add_drain,
                              add_undrain,   add_actors, add_dump,    add_log_level, add_last_exit,
                              add_lifecycle, add_config, add_doctor,  add_trace,     add_send,
                              add_import,    add_tail,   add_backup,  add_restore,   add_verify,
                              add_stats,     add_token,  add_spool,   add_cluster};

std::vector<std::string> names_of_commands(const CLI::App& group) {
  std::vector<std::string> out;
  for (const auto* command : group.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty()) // else an earlier name
      out.push_back(command->get_name());
  return out;
}

/// "stats or start"; empty: none is close.
std::string suggested(const std::string& word, const CLI::App& group) {
  std::string out;
  for (const auto& name : phi::all_closest(word, names_of_commands(group)))
    out += (out.empty() ? "" : " or ") + name;
  return out;
}

/// Names a command that does not exist, at any level: CLI11 says only that one is missing. Empty:
/// nothing was named.
std::string unknown_command(const CLI::App& app) {
  auto left = app.remaining();
  if (left.empty() || left.front().starts_with('-'))
    return {};
  std::string above; // the groups that were named, such as "cluster "
  const auto* group = &app;
  for (auto named = app.get_subcommands(); !named.empty(); named = group->get_subcommands()) {
    group = named.back();
    above += group->get_name() + " ";
  }
  auto meant = suggested(left.front(), *group);
  if (!meant.empty())
    meant = above + meant;
  else if (group != &app) // it may be there, and not in this group
    meant = suggested(left.front(), app);
  return "there is no command " + above + left.front()
         + (meant.empty() ? "; see " + above + "--help" : "; did you mean " + meant + "?");
}

/// What CLI11 says, which repeats what was typed. Help goes to stdout. Returns the exit status.
int tell(const CLI::App& app, const CLI::ParseError& e) {
  std::stringstream out;
  std::stringstream err;
  auto code = app.exit(e, out, err);
  for (std::string line; std::getline(out, line);)
    print() << line << "\n";
  for (std::string line; std::getline(err, line);)
    warn() << line << "\n";
  try {
    print().flush();
  } catch (const failure& e) {
    warn() << app.get_name() << ": " << e.what() << "\n";
    return static_cast<int>(e.status());
  }
  return code == 0 ? 0 : static_cast<int>(exit_status::usage);
}

/// A text of several lines, such as a line of the configuration and a mark under it, is shown as
/// such; that a line is no message of its own is seen by its indent.
void warn_lines(const std::string& name, const std::string& text) {
  std::istringstream in{text};
  bool first = true;
  for (std::string line; std::getline(in, line); first = false)
    warn() << (first ? name + ": " : line.starts_with(' ') ? "" : "  ") << line << "\n";
}

/// The libraries throw when they meet text that is no UTF-8, and do not say where.
std::string what_went_wrong(int argc, char** argv, const std::exception& e) {
  for (int i = 1; i < argc; ++i)
    if (auto at = phi::find_invalid_utf8(argv[i]); at != std::string::npos)
      return std::string{"\""} + argv[i] + "\" is no UTF-8, at its byte " + std::to_string(at + 1);
  return e.what();
}

} // namespace

int main(int argc, char** argv) {
  phi::open_standard_descriptors();
  auto name = std::filesystem::path{argc > 0 ? argv[0] : "phictl"}.filename().string();
  CLI::App app{"phictl: an operator's window into phi-backend", name};
  command_context context;
  double timeout = 0;
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.json, "Print JSON");
  app.add_option("--socket", context.socket, "The admin socket of the service")->type_name("PATH");
  app.add_option("--timeout", timeout, "Give up after this many seconds")
    ->type_name("SECONDS")
    ->check([](const std::string& text) -> std::string { // CLI::Range lets nan through
      double seconds = 0;
      bool number = CLI::detail::lexical_cast(text, seconds);
      return number && seconds >= 0.001 && seconds <= 86'400
               ? ""
               : "\"" + text + "\" is no number of seconds from 0.001 to 86400";
    });
  app.add_option("--unit", context.unit, "The systemd unit of the service")
    ->type_name("UNIT")
    ->capture_default_str();
  app.set_version_flag("--version", name + " " PHI_VERSION);
  app.footer(footer);
  app.parse_complete_callback(
    [&] { context.timeout = std::chrono::milliseconds{static_cast<int64_t>(timeout * 1000)}; });
  for (auto* add_command : commands)
    add_command(app, context);
  try {
    app.parse(argc, argv);
    print().flush();
  } catch (const CLI::RequiredError& e) {
    auto unknown = unknown_command(app);
    if (unknown.empty())
      tell(app, e);
    else
      warn() << name << ": " << unknown << "\n";
    return static_cast<int>(exit_status::usage);
  } catch (const CLI::ParseError& e) {
    return tell(app, e);
  } catch (const failure& e) {
    warn_lines(name, e.what());
    return static_cast<int>(e.status());
  } catch (const std::exception& e) { // a defect, or an argument that is no UTF-8
    warn() << name << ": " << what_went_wrong(argc, argv, e) << "\n";
    return static_cast<int>(exit_status::usage);
  }
  return 0;
}
