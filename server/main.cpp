#include "config/keys.hpp"
#include "server/platform/posix/signals.hpp"
#include "server/process/settings_source.hpp"
#include "server/process/start_checks.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/sqlite/database_file.hpp"
#include "server/systemd/budget_doctor.hpp"
#include "server/wiring.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace phi;

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

int report_problems(const loaded_config& loaded) {
  for (const auto& problem : loaded.problems)
    std::cerr << "phi-backend: " << problem.text << "\n";
  return static_cast<int>(exit_code::usage);
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
  if (settings.stats.storage != "postgres") {
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

/// A program started with a closed stdin, stdout or stderr would get that number for the first file
/// it opens, and write its log there.
void open_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR); // the lowest number that is free
  while (fd >= 0 && fd <= STDERR_FILENO)
    fd = ::open("/dev/null", O_RDWR);
  ::close(fd);
}

/// Holds the settings against the unit. Whether the service can start in it.
bool print_budgets(const loaded_config& loaded, const std::optional<systemd::unit_limits>& limits) {
  const auto& settings = loaded.values;
  if (auto finding = systemd::examine_address(settings, loaded.origins, limits->socket))
    std::cerr << "phi-backend: warning: " << finding->text() << "\n";
  auto findings = systemd::examine_budgets(settings, *limits);
  for (const auto& finding : findings)
    std::cerr << "phi-backend: warning: " << finding.text() << "\n";
  if (findings.empty())
    std::cout << "The time-outs of " << limits->unit << " fit.\n";
  auto group = systemd::examine_group(settings, *limits);
  if (group)
    std::cerr << "phi-backend: " << group->text() << "\n";
  return !group;
}

/// Says how a start with these settings would go, in the unit where there is one.
exit_code check_start(const loaded_config& loaded, const std::string& unit) {
  auto limits = systemd::limits_of_unit(unit);
  auto troubles = what_would_end_a_start(loaded.values, limits);
  for (const auto& trouble : troubles)
    std::cerr << "phi-backend: a start here would fail: " << trouble << "\n";
  if (troubles.empty())
    std::cout << "The configuration is fine.\n";
  if (!limits)
    std::cout << "No unit " << unit << " here: its time-outs are not compared.\n";
  bool fits = !limits || print_budgets(loaded, limits);
  return troubles.empty() && fits ? exit_code::clean : exit_code::usage;
}

} // namespace

int main(int argc, char** argv) {
  block_signals();
  open_standard_descriptors();
  ::umask(0077);
  CLI::App app{"phi-backend: counts usage events, each exactly once", "phi-backend"};
  std::string file;
  std::string unit = "phi-backend.service";
  std::string database;
  bool check = false;
  bool print = false;
  bool migrate = false;
  bool plan = false;
  bool settle = false;
  app.add_option("--config", file, "Configuration file (TOML)")->type_name("FILE");
  app.add_flag("--check", check, "Check the configuration and start nothing");
  app.add_option("--unit", unit, "With --check: hold the deadlines against this systemd unit")
    ->type_name("UNIT")
    ->capture_default_str();
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
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
  }
  bool serves = database.empty() && !check && !print && !migrate;
  if (!serves)
    unblock_signals(); // nothing here needs a stop of its own: a signal simply ends it
  if (!database.empty())
    return check_database(database, settle);
  settings_source source{file};
  auto loaded = source.load();
  if (!loaded.ok())
    return report_problems(loaded);
  if (check || print) {
    for (const auto& warning : loaded.warnings)
      std::cerr << "phi-backend: warning: " << warning << "\n";
    if (print)
      print_config(loaded);
    return static_cast<int>(check ? check_start(loaded, unit) : exit_code::clean);
  }
  if (migrate)
    return migrate_database(loaded.values, plan);
  last_resort resort; // outlives the log: a reader of the log that hangs must not hold the exit
  process_log log{level_of(loaded.values), loaded.values.logging.format};
  for (const auto& warning : loaded.warnings)
    log_warn("config", "warns: " + warning);
  return static_cast<int>(run_service(source, loaded, log, resort));
}
