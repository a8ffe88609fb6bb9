#include "server/store/sqlite/dead_rows.hpp"

#include "server/store/sqlite/statements.hpp"

namespace phi::store {

dead_rows::dead_rows(sqlite_connection& db, std::string_view table, std::string_view remove)
  : db_(db),
    table_(table),
    remove_(db, remove) {}

std::set<int64_t> dead_rows::all() {
  std::set<int64_t> out;
  statement exists{db_, sql::has_dead_rows};
  if (!exists.step() || exists.integer(0) == 0)
    return out;
  statement dead{db_, sql::dead_rows};
  for (dead.bind(1, table_); dead.step();)
    out.insert(dead.integer(0));
  return out;
}

void dead_rows::remove(int64_t id) {
  if (is_lost(id) || undeletable_.contains(id)) {
    db_.run(sql::create_dead_rows);
    statement note{db_, sql::add_dead_row};
    note.bind(1, table_).bind(2, id).execute();
    return;
  }
  try {
    remove_.bind(1, id).execute();
  } catch (const sqlite_error& e) {
    if (is_corrupt(e))
      undeletable_.insert(id);
    throw;
  }
}

} // namespace phi::store
