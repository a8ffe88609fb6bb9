#pragma once
/// Rows of a table of what is derived from the events. One that lies on a lost page cannot be
/// deleted: that it counts no more is remembered.
///
/// SQLite takes back a whole transaction in which it has come to a lost page
/// (`sqlite_connection::is_doomed`). So what is lost is found in one of them, and buried in the
/// next without being touched again.

#include "server/store/sqlite/connection.hpp"

#include <set>

namespace phi::store {

/// Of one connection. Throws sqlite_error.
class dead_rows {
public:
  /// `remove`: the statement that deletes the row with an id.
  dead_rows(sqlite_connection& db, std::string_view table, std::string_view remove);

  /// Those that are there and count no more: mostly none.
  std::set<int64_t> all();

  /// Reading a row has come to a lost page.
  void note_lost(int64_t id) { lost_.insert(id); }
  bool is_lost(int64_t id) const { return lost_.contains(id); }

  /// Deletes a row, or buries one that is known to be lost, or to lie beside what is: SQLite looks
  /// at the neighbours when it deletes. Such a row can be read as ever. Within a transaction.
  void remove(int64_t id);

private:
  sqlite_connection& db_;
  std::string_view table_;
  statement remove_;
  std::set<int64_t> lost_;
  std::set<int64_t> undeletable_;
};

} // namespace phi::store
