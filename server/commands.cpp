#include "server/commands.hpp"

#include "config/keys.hpp"
#include "protocol/lifecycle.hpp"
#include "server/process/settings_source.hpp"
#include "server/process/start_checks.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/sqlite/database_file.hpp"
#include "server/systemd/budget_doctor.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

namespace phi {
namespace {

std::string footer() {
  std::string out =
    "Settings come from the built-in defaults, then FILE, then the environment: APP_ and the "
    "key's\n"
    "path in capitals, such as APP_SERVER_PORT=8080. PHI_LOG=debug sets the log level.\n\n"
    "Example:\n  phi-backend --config /etc/phi-backend/config.toml --check\n\nExit status:";
  for (auto code : exit_codes) {
    auto number = std::to_string(static_cast<int>(code));
    out += "\n  " + number + std::string(4 - number.size(), ' ') + std::string{describe(code)};
  }
  return out;
}

void print_config(const loaded_config& loaded) {
  for (const auto& key : all_keys())
    std::cout << key.path << " = " << show_value(key, loaded.values) << "  # "
              << loaded.origins.at(std::string{key.path}) << "\n";
}

int check_database(const std::string& file, bool settle) {
  try {
    std::cout << (settle ? store::settle_file(file) : store::check_file(file)) << "\n";
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "phi-backend: " << file << ": " << e.what() << "\n";
    return static_cast<int>(exit_code::startup_failed);
  }
}

int migrate_database(const config& settings, bool only_plan) {
  if (settings.resolved.storage != storage_kind::postgres) {
    std::cerr << "phi-backend: --migrate is for PostgreSQL: stats.storage is \""
              << settings.stats.storage << "\"; the embedded database is migrated by a start\n";
    return static_cast<int>(exit_code::usage);
  }
  try {
    auto steps = store::migrate_postgres(store::postgres_settings_of(settings), !only_plan);
    for (const auto& step : steps)
      std::cout << (only_plan ? "would do " : "did ") << step << "\n";
    if (steps.empty())
      std::cout << "nothing to do: the schema is that of this version\n";
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "phi-backend: " << e.what() << "\n";
    return static_cast<int>(exit_code::startup_failed);
  }
}

/// Holds the settings against the unit. Whether the service can start in it.
bool print_budgets(const loaded_config& loaded, const systemd::unit_limits& limits) {
  const auto& settings = loaded.values;
  if (auto finding = systemd::examine_address(settings, loaded.origins, limits.socket))
    std::cerr << "phi-backend: warning: " << finding->text() << "\n";
  auto findings = systemd::examine_budgets(settings, limits);
  for (const auto& finding : findings)
    std::cerr << "phi-backend: warning: " << finding.text() << "\n";
  if (findings.empty())
    std::cout << "The time-outs of " << limits.unit << " fit.\n";
  auto group = systemd::examine_group(settings, limits);
  if (group)
    std::cerr << "phi-backend: " << group->text() << "\n";
  return !group;
}

/// Says how a start with these settings would go, in the unit where there is one.
exit_code check_start(const loaded_config& loaded, const std::string& unit) {
  auto limits = systemd::limits_of_unit(unit);
  auto failing = failing_start_checks(loaded.values, limits);
  for (const auto& check : failing)
    std::cerr << "phi-backend: a start here would fail: " << check.why() << "\n";
  if (failing.empty())
    std::cout << "The configuration is fine.\n";
  if (!limits)
    std::cout << "No unit " << unit << " here: its time-outs are not compared.\n";
  bool fits = !limits || print_budgets(loaded, *limits);
  return failing.empty() && fits ? exit_code::clean : exit_code::usage;
}

int check_configuration(const command_line& line, const loaded_config& loaded) {
  for (const auto& warning : loaded.warnings)
    std::cerr << "phi-backend: warning: " << warning << "\n";
  if (line.print)
    print_config(loaded);
  return static_cast<int>(line.check ? check_start(loaded, line.unit) : exit_code::clean);
}

} // namespace

std::optional<int> command_line::parse(int argc, char** argv) {
  CLI::App app{"phi-backend: counts usage events, each exactly once", "phi-backend"};
  app.add_option("--config", file, "Configuration file (TOML)")->type_name("FILE");
  auto* only_check = app.add_flag("--check", check, "Check the configuration and start nothing");
  app.add_option("--unit", unit, "With --check: hold the deadlines against this systemd unit")
    ->type_name("UNIT")
    ->capture_default_str()
    ->needs(only_check);
  app.add_flag("--print-config", print, "Print the values in effect and where each came from");
  auto* checking = app
                     .add_option("--check-database", database,
                                 "Check a database file or a backup and start nothing")
                     ->type_name("FILE");
  app
    .add_flag("--settle", settle,
              "With --check-database: fold its write-ahead log into the file, and tell it from"
              " the database that it is a copy of")
    ->needs(checking);
  auto* migrating = app.add_flag("--migrate", migrate,
                                 "Bring the schema in PostgreSQL up to date and start nothing");
  app.add_flag("--plan", plan, "With --migrate: only say what would be done")->needs(migrating);
  app.set_version_flag("--version", "phi-backend " PHI_VERSION);
  app.footer(footer());
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& e) {
    bool asked_for_help = app.exit(e) == 0;
    return asked_for_help && std::cout.flush() ? 0 : static_cast<int>(exit_code::usage);
  }
}

int run_command(const command_line& line) {
  if (!line.database.empty())
    return check_database(line.database, line.settle);
  auto loaded = settings_source{line.file}.load();
  if (!loaded.ok())
    return report_problems(loaded);
  return line.migrate ? migrate_database(loaded.values, line.plan)
                      : check_configuration(line, loaded);
}

int report_problems(const loaded_config& loaded) {
  for (const auto& problem : loaded.problems)
    std::cerr << "phi-backend: " << problem.text << "\n";
  return static_cast<int>(exit_code::usage);
}

} // namespace phi
