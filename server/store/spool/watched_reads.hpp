#pragma once
/// How a look at a whole file shows that it gets on.

#include "actors/ports/work_watch.hpp"
#include "server/store/sqlite/connection.hpp"

#include <memory>

namespace phi::store {

/// While it lives, each read of the database's file looks at the watch, and fails when that says
/// so. To SQLite's own progress handler PRAGMA quick_check is one step (before 3.41), however many
/// GiB it reads. The connection must be open, and stay so as long as this lives.
class watched_reads {
public:
  /// `watch` may be null: nobody's.
  watched_reads(sqlite_connection& db, work_watch* watch);
  ~watched_reads();
  watched_reads(const watched_reads&) = delete;

  /// Throws sqlite_error if a read has been made to fail: whatever was found is not to be believed.
  void throw_if_ended() const;

private:
  struct methods;
  std::unique_ptr<methods> methods_;
};

/// For loops over rows: looks, and throws sqlite_error when the watch says so.
void check_watch(work_watch* watch);

} // namespace phi::store
