#pragma once
/// Pages of the database file that hold nothing any more. New rows take them; of what is left over
/// the disk gets its room back, a few pages at a time.

#include "server/store/sqlite/connection.hpp"

namespace phi::store {

/// Of the writing connection. Throws sqlite_error.
class free_pages {
public:
  /// Of a file that is empty yet: in one that was made without this its pages never go.
  static void prepare(sqlite_connection& db);

  explicit free_pages(sqlite_connection& db);

  /// Whether there are more than are kept for new rows; cheap.
  bool are_many();
  /// Gives some back: a few milliseconds. Within a transaction.
  void give_back();

private:
  int64_t too_many();

  sqlite_connection& db_;
  bool may_go_ = false;
  statement pages_, free_;
};

} // namespace phi::store
