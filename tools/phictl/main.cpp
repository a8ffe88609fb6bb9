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
std::string suggested(const std::string& word, const std::vector<std::string>& known) {
  std::string out;
  for (const auto& name : phi::all_closest(word, known))
    out += (out.empty() ? "" : " or ") + name;
  return out;
}

/// What was named of the tree of commands.
struct named_command {
  const CLI::App* command;
  std::string path;                 ///< "cluster ", or "stats series "; empty: none
  std::vector<std::string> options; ///< with their dashes: its own and those of all above it
};

named_command named_in(const CLI::App& app) {
  named_command out{&app, {}, {}};
  auto add_options = [&] {
    for (const auto* option : out.command->get_options())
      for (const auto& name : option->get_lnames())
        out.options.push_back("--" + name);
  };
  add_options();
  for (auto named = app.get_subcommands(); !named.empty(); named = out.command->get_subcommands()) {
    out.command = named.back();
    out.path += out.command->get_name() + " ";
    add_options();
  }
  return out;
}

/// Names a command that does not exist, at any level: CLI11 says only that one is missing. Empty:
/// nothing was named.
std::string unknown_command(const CLI::App& app) {
  auto left = app.remaining();
  if (left.empty() || left.front().starts_with('-'))
    return {};
  const auto [group, above, options] = named_in(app);
  auto meant = suggested(left.front(), names_of_commands(*group));
  if (!meant.empty())
    meant = above + meant;
  else if (group != &app) // it may be there, and not in this group
    meant = suggested(left.front(), names_of_commands(app));
  return "there is no command " + above + left.front()
         + (meant.empty() ? "; see " + above + "--help" : "; did you mean " + meant + "?");
}

/// The same of an option.
std::string unknown_option(const CLI::App& app) {
  for (const auto& word : app.remaining(true)) {
    if (!word.starts_with("--") || word.size() == 2)
      continue;
    const auto [command, path, options] = named_in(app);
    const auto name = word.substr(0, word.find('='));
    auto meant = suggested(name, options);
    return "there is no option " + path + name
           + (meant.empty() ? "; see " + path + "--help" : "; did you mean " + meant + "?");
  }
  return {};
}

/// Which commands there are, where a group was named and none of them. Empty: something else is
/// missing.
std::string missing_command(const CLI::App& app) {
  const auto [group, path, options] = named_in(app);
  if (group->get_require_subcommand_min() == 0)
    return {};
  std::string all;
  for (const auto& name : names_of_commands(*group))
    all += (all.empty() ? "" : ", ") + name;
  return "a command is missing behind " + app.get_name() + " " + path + "(" + all + "); see " + path
         + "--help";
}

/// What is wrong with the command line where we can say more than CLI11 does; else empty.
std::string more_than_said(const CLI::App& app, const CLI::ParseError& e) {
  if (e.get_exit_code() == 0) // help
    return {};
  if (!dynamic_cast<const CLI::RequiredError*>(&e))
    return unknown_option(app); // whose value may have been taken for something else
  for (auto* wrong_of : {unknown_command, unknown_option, missing_command})
    if (auto wrong = wrong_of(app); !wrong.empty())
      return wrong;
  return {};
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
  } catch (const CLI::ParseError& e) {
    auto wrong = more_than_said(app, e);
    if (wrong.empty())
      return tell(app, e);
    warn() << name << ": " << wrong << "\n";
    return static_cast<int>(exit_status::usage);
  } catch (const failure& e) {
    warn_lines(name, e.what());
    return static_cast<int>(e.status());
  } catch (const std::exception& e) { // a defect, or an argument that is no UTF-8
    warn() << name << ": " << what_went_wrong(argc, argv, e) << "\n";
    return static_cast<int>(exit_status::usage);
  }
  return 0;
}
