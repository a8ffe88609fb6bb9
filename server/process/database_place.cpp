#include "server/process/database_place.hpp"

#include "actors/log.hpp"
#include "protocol/restore_journal.hpp"

#include <filesystem>

namespace phi {
namespace {

namespace fs = std::filesystem;

bool has_bytes(const std::string& file) {
  std::error_code error;
  auto size = fs::file_size(file, error);
  return !error && size > 0;
}

/// Whether an empty database may begin at a place, if there is none.
outcome check_neighbours(const std::string& database) {
  std::error_code ignored;
  if (fs::exists(database, ignored))
    return {};
  if (auto aside = set_aside_earlier(database); !aside.empty())
    return outcome::failure("the database " + database + " is missing, but " + aside
                            + " lies beside it; put that in its place with: phictl restore " + aside
                            + ", or move it away to begin an empty one");
  for (const auto* part : {"-wal", "-journal"})
    if (has_bytes(database + part))
      return outcome::failure(
        "the database " + database + " is missing, but its log " + database + part
        + " is there: somebody has moved the file; bring it back, or move the log away to"
          " begin an empty one");
  return {};
}

/// Without it phictl looks at the configuration: no reason not to start.
void remember(const std::string& directory, const std::string& place) {
  if (auto kept = keep_database_place(directory, place); !kept)
    log_warn("store", "cannot keep for a restore where the database is",
             {{"database", place}, {"cause", kept.why()}});
}

} // namespace

outcome take_database_place(const config& settings) {
  const auto& directory = settings.resolved.state_dir;
  if (auto plan = restore_under_way(directory)) {
    if (auto finished = finish_restore(directory, *plan); !finished)
      return outcome::failure("a restore of " + plan->database
                              + " was interrupted and cannot be finished: " + finished.why());
    log_warn("store", "finishes a restore that was interrupted",
             {{"database", plan->database}, {"before", plan->aside}});
  }
  if (settings.resolved.storage == storage_kind::postgres) {
    remember(directory, postgres_place);
    return {};
  }
  auto database = fs::absolute(settings.resolved.sqlite_path).lexically_normal().string();
  remove_unfinished_copy(database);
  if (auto free = check_neighbours(database); !free)
    return free;
  std::error_code ignored;
  if (database_place(directory) == database && !fs::exists(database, ignored))
    log_warn("store", "begins an empty database: the one of the last run is gone",
             {{"file", database}});
  remember(directory, database);
  return {};
}

} // namespace phi
