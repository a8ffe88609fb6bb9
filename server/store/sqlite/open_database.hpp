#pragma once
/// What the writer has at hand while the database is open.

#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/cubes.hpp"
#include "server/store/sqlite/free_pages.hpp"
#include "server/store/sqlite/identities.hpp"
#include "server/store/sqlite/row_retention.hpp"
#include "server/store/sqlite/row_writer.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace phi::store {

/// Belongs to the connection, which must outlive it. Throws sqlite_error.
struct open_database {
  open_database(sqlite_connection& db, const identity_limits& limits, const cube_limits& sizes,
                std::shared_ptr<damaged_days> damaged)
    : begin(db, "BEGIN IMMEDIATE"),
      commit(db, "COMMIT"),
      rollback(db, "ROLLBACK"),
      savepoint(db, "SAVEPOINT pieces"),
      keep(db, "RELEASE pieces"),
      undo(db, "ROLLBACK TO pieces"),
      data_version(db.data_version()),
      rows(db),
      counted(db, sizes, std::move(damaged)),
      known(db, limits),
      retention(db),
      unused(db) {
    // The newest rows may have been deleted: their numbers are not given again, for what is behind
    // the mark only is counted.
    if (counted.last_seq() > known.last_seq())
      known.settled(counted.last_seq());
  }

  statement begin, commit, rollback, savepoint, keep, undo;
  int64_t data_version; ///< before they are read: what comes meanwhile is seen later
  row_writer rows;
  cubes counted;
  identities known; ///< it may write when it is made
  row_retention retention;
  free_pages unused;
};

/// Opens it and counts what is behind. What somebody else writes meanwhile, who was the writer
/// before us, it takes in by beginning anew, a few times. A full disk is no hindrance: then
/// questions read the rows until there is room. Throws as what it makes does.
void open_and_count(std::optional<open_database>& into, sqlite_connection& db,
                    const identity_limits& limits, const cube_limits& sizes,
                    const std::shared_ptr<damaged_days>& damaged);

} // namespace phi::store
