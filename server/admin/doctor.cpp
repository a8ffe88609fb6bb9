#include "server/admin/doctor.hpp"

#include "protocol/platform/files.hpp"
#include "protocol/state_files.hpp"
#include "protocol/text/digits.hpp"
#include "server/platform/open_files.hpp"
#include "server/process/start_checks.hpp"
#include "server/systemd/budget_doctor.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

namespace phi {
namespace {

using code = finding_code;

finding well(std::string subject, std::string text) {
  return {.subject = std::move(subject), .text = std::move(text)};
}

finding warning(std::string subject, code found, std::string text, std::string remedy) {
  return {std::move(subject), finding_verdict::warning, found, std::move(text), std::move(remedy)};
}

finding bad(std::string subject, code found, std::string text, std::string remedy) {
  return {std::move(subject), finding_verdict::bad, found, std::move(text), std::move(remedy)};
}

std::string in_mib(uintmax_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

// -- the machine --------------------------------------------------------------------------------

finding examine_permissions(const config& settings) {
  const auto& directory = settings.resolved.state_dir;
  if (!may_work_in(directory))
    return bad("permissions", code::state_directory_unwritable, "may not write to " + directory,
               "give the service's user the right to write there");
  std::error_code error;
  auto rights = std::filesystem::status(directory, error).permissions();
  using std::filesystem::perms;
  if ((rights & (perms::others_read | perms::others_exec)) != perms::none)
    return warning("permissions", code::state_directory_public,
                   directory + " can be read by everybody", "chmod 0700 " + directory);
  return well("permissions", directory + " is writable, and ours alone");
}

finding examine_disk(const config& settings) {
  std::error_code error;
  auto space = std::filesystem::space(settings.resolved.state_dir, error);
  if (error)
    return bad("disk", code::disk_unreadable,
               "cannot examine " + settings.resolved.state_dir + ": " + error.message(),
               "see server.state_dir");
  auto text = in_mib(space.available) + " free for " + settings.resolved.state_dir;
  constexpr uintmax_t little = uintmax_t{1} << 30;
  if (space.available < little)
    return warning("disk", code::disk_low, text, "make room: below that commits begin to fail");
  return well("disk", text);
}

finding examine_clock() {
  using namespace std::chrono;
  auto year = static_cast<int>(year_month_day{floor<days>(system_clock::now())}.year());
  auto text = "the clock says " + std::to_string(year);
  if (year < 2024)
    return bad("clock", code::clock_wrong, text, "set the time; events without one get ours");
  return well("clock", text);
}

finding examine_open_files(const config& settings) {
  auto limit = raise_open_files();
  auto wanted = settings.server.max_connections;
  auto text = std::to_string(limit) + " open files allowed, server.max_connections is "
              + std::to_string(wanted);
  if (auto fit = connections_within(wanted, limit); fit < wanted)
    return bad("file limit", code::open_files_few,
               text + ", of which only " + std::to_string(fit) + " fit and are taken",
               "raise LimitNOFILE= to " + std::to_string(open_files_for(wanted))
                 + " or lower server.max_connections");
  return well("file limit", text);
}

// -- the database, the spool --------------------------------------------------------------------

finding examine_database_file(const std::string& file) {
  std::error_code error;
  auto size = std::filesystem::file_size(file, error);
  if (error)
    return bad("database", code::database_unreadable, file + ": " + error.message(),
               "see stats.sqlite_path");
  auto log = std::filesystem::file_size(file + "-wal", error);
  auto text = file + " has " + in_mib(size);
  constexpr uintmax_t large = uintmax_t{256} << 20;
  if (!error && log > size && log > large)
    return warning("database", code::database_log_large,
                   text + ", its write-ahead log " + in_mib(log),
                   "a long-running reader keeps it from being cut back; see who has the file open");
  return well("database", text);
}

/// Whether the health has this code as a cause.
bool ails(const health_view& health, ailment ailing) {
  return std::any_of(health.causes.begin(), health.causes.end(),
                     [&](const health_cause& cause) { return cause.code == ailing; });
}

/// Whether an actor says so. In a start or a stop the health has other words, and not these.
bool says(const std::optional<service_status>& status, ailment ailing) {
  return status
         && std::any_of(
           status->children.begin(), status->children.end(), [&](const child_status& child) {
             return child.says && !child.says->degraded.empty() && child.says->code == ailing;
           });
}

finding examine_database(const observed_service& seen) {
  if (seen.settings->resolved.storage == storage_kind::sqlite)
    return examine_database_file(seen.settings->resolved.sqlite_path);
  if (ails(seen.health, ailment::database_away) || says(seen.status, ailment::database_away))
    return bad("database", code::database_away,
               "PostgreSQL does not answer; events go to the spool",
               "the log has the cause; see stats.postgres_url");
  return well("database", "events go to PostgreSQL, see stats.postgres_url");
}

/// Nothing where there is no spool, or where it does not say how it is: that the health says.
void examine_spool(const service_status& status, std::vector<finding>& out) {
  for (const auto& child : status.children) {
    if (child.actor != actor_name::spool || !child.says)
      continue;
    auto waiting = child.says->gauge(gauge_name::events);
    auto aside = child.says->gauge(gauge_name::set_aside);
    auto text = group_digits(waiting) + " events wait for the database, " + group_digits(aside)
                + " batches are set aside";
    if (aside > 0)
      out.push_back(warning("spool", code::batches_set_aside, text, "phictl spool show says why"));
    else if (waiting > 0)
      out.push_back(warning("spool", code::events_spooled, text, ""));
    else
      out.push_back(well("spool", text));
  }
}

/// Nothing where all values are told apart and all identities are known.
void examine_values(const service_status& status, std::vector<finding>& out) {
  for (const auto& child : status.children) {
    auto others = child.says ? child.says->gauge(gauge_name::counted_as_other) : 0;
    if (child.actor == actor_name::stats && others > 0)
      out.push_back(warning("counts", code::values_beyond_cap,
                            group_digits(others)
                              + " events since the start have a value for which their day has no"
                                " room left and count under (other)",
                            "the log names the field; send routes as templates such as"
                            " /users/{id}, without ids and numbers in them"));
    auto lost = child.says ? child.says->gauge(gauge_name::identities_lost) : 0;
    if (child.actor == actor_name::stats && lost > 0)
      out.push_back(warning("identities", code::identities_lost,
                            "the ids of " + group_digits(lost)
                              + " events whose rows are deleted were damaged and are lost: older"
                                " events that may be these are refused",
                            "the log of the start that found it names the day; examine the disk"));
  }
}

/// Only the instance that has the duty of the maintenance knows.
void examine_uncounted(const service_status& status, std::vector<finding>& out) {
  constexpr uint64_t large = uint64_t{64} << 20;
  for (const auto& child : status.children) {
    auto bytes = child.says ? child.says->gauge(gauge_name::uncounted_bytes) : 0;
    if (child.actor == actor_name::maintenance && bytes > large)
      out.push_back(warning("database", code::database_bloated,
                            "the table uncounted takes " + in_mib(bytes)
                              + ": lines that are deleted cannot go, or nobody counts",
                            "a transaction that stays open (a dump, a report, a replication slot)"
                            " keeps them: SELECT pid, application_name, backend_xmin FROM"
                            " pg_stat_activity ORDER BY age(backend_xmin) DESC; the log says"
                            " whether events are counted"));
  }
}

// -- the settings -------------------------------------------------------------------------------

finding examine_salt(const config& settings) {
  const std::string subject = "user hashes";
  if (!settings.stats.user_hash_salt.empty())
    return well(subject, "users are stored as hashes with stats.user_hash_salt");
  auto file = state_files::path(settings.resolved.state_dir, state_files::user_hash_salt);
  if (settings.resolved.storage == storage_kind::sqlite)
    return well(subject, "users are stored as hashes with the salt in " + file
                           + ", made at the first start");
  return warning(subject, code::salt_not_shared,
                 "users are stored as hashes with this instance's own salt in " + file
                   + ": to other instances that share the database the same user is another one",
                 "set stats.user_hash_salt, the same for all instances");
}

/// What the file and the environment say now: the next start takes it.
finding examine_next_settings(const observed_service& seen) {
  const std::string subject = "configuration";
  const std::string remedy =
    "correct it; phi-backend --check says the same, with the --config of the service";
  if (!seen.next.accepted)
    return bad(subject, code::settings_invalid,
               "the next start or reload would fail: " + seen.next.accepted.why(), remedy);
  const auto& next = seen.next.loaded.values;
  const auto& running = *seen.settings;
  if (next.server.host != running.server.host || next.admin.group != running.admin.group)
    if (auto failing = failing_start_checks(next, seen.unit); !failing.empty())
      return bad(subject, code::start_would_fail,
                 "the next start would fail: " + failing.front().why(), remedy);
  return well(subject, "a start would take it");
}

void examine_unit(const observed_service& seen, std::vector<finding>& out) {
  const std::string subject = "budgets";
  if (!seen.unit)
    return out.push_back(well(subject, "no service manager has time-outs for us"));
  if (auto found = systemd::examine_address(*seen.settings, seen.origins, seen.unit->socket))
    out.push_back(warning("address", code::address_overruled, found->mismatch, found->remedy));
  auto mismatches = systemd::examine_budgets(*seen.settings, *seen.unit);
  for (const auto& found : mismatches)
    out.push_back(warning(subject, code::budgets_unfit, found.mismatch, found.remedy));
  if (mismatches.empty())
    out.push_back(well(subject, "the time-outs of " + seen.unit->unit + " fit"));
}

finding examine_health(const health_view& health) {
  if (health.degraded())
    return bad("health", code::degraded, "degraded: " + health.text(),
               "see phictl health, and the log of the actor that is named");
  return well("health", "no part of the service is degraded");
}

} // namespace

std::vector<finding> examine_service(const observed_service& seen) {
  const auto& settings = *seen.settings;
  std::vector<finding> out{examine_permissions(settings), examine_disk(settings),
                           examine_database(seen),        examine_clock(),
                           examine_open_files(settings),  examine_salt(settings),
                           examine_health(seen.health),   examine_next_settings(seen)};
  examine_unit(seen, out);
  if (!seen.status) {
    out.push_back(bad("actors", code::actors_silent, "the supervisor does not answer",
                      "see the log; phictl dump has it write down what everybody does"));
    return out;
  }
  examine_spool(*seen.status, out);
  examine_values(*seen.status, out);
  examine_uncounted(*seen.status, out);
  return out;
}

} // namespace phi
