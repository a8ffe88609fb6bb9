#include "server/store/sqlite/open_database.hpp"

#include "actors/log.hpp"

namespace phi::store {
namespace {

constexpr int most_tries = 3;

void count_what_is_behind(open_database& database) {
  try {
    database.counted.catch_up(database.known.last_seq());
  } catch (const sqlite_error& e) {
    if (!is_full(e) && !is_corrupt(e))
      throw;
    log_warn("store", "cannot count the events of its rows for now; they are counted later",
             {{"cause", e.what()}});
  }
}

} // namespace

void open_and_count(std::optional<open_database>& into, sqlite_connection& db,
                    const identity_limits& limits, const cube_limits& sizes,
                    const std::shared_ptr<damaged_days>& damaged) {
  for (int tries = 1;; ++tries)
    try {
      into.emplace(db, limits, sizes, damaged);
      count_what_is_behind(*into);
      return into->retention.note_days();
    } catch (const written_by_others& e) {
      into.reset();
      if (tries == most_tries)
        throw;
      log_warn("store", "reads the database anew", {{"cause", e.what()}});
    }
}

} // namespace phi::store
