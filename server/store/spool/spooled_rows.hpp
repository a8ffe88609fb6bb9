#pragma once
/// The file of the spool: its schema, its rows, each with a checksum, and what can be saved of a
/// file that is damaged.

#include "protocol/outcome.hpp"
#include "server/store/sqlite/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace phi::store {

/// One row as it is.
struct kept_batch {
  int64_t seq = 0; ///< the number of the batch; never given twice
  std::string id;
  int64_t taken_us = 0;
  int64_t events = 0;
  std::string body;
  std::string checksum;
  std::string aside; ///< why it was set aside; empty: it waits
  /// Of one that was set aside: tried again by itself, last then; 0: not by itself. Below 0
  /// somebody wants it stored whatever its age: `wanted` while it waits, the time negated while it
  /// is aside.
  int64_t tried_us = 0;

  static constexpr int64_t wanted = -1;
  bool is_wanted() const { return tried_us < 0; }
  /// Set aside, and tried again by itself.
  bool is_deferred() const { return !aside.empty() && tried_us != 0; }

  /// Whether it is whole.
  outcome check() const;
};

/// Whether the file itself is damaged.
bool is_damage(const sqlite_error& e);

/// For SQL: `kept_batch::is_deferred`.
inline const std::string is_deferred = "aside IS NOT NULL AND tried_us <> 0";

/// For read_row.
inline const std::string select_kept =
  "SELECT seq, id, taken_us, events, body, checksum, aside, tried_us FROM batch ";

kept_batch read_row(const statement& row);
/// Does nothing when a batch with this id, or of this number, is there already.
void write_row(sqlite_connection& db, const kept_batch& kept);

/// The highest number that was ever given away in this file; 0: none.
int64_t last_number(sqlite_connection& db);

/// In pages that nothing is kept in any more, and that are filled before the file grows.
uint64_t free_bytes(sqlite_connection& db);

/// Opens the spool at `file`, makes it if it is not there, and brings it to the form of today.
/// Fails when it is damaged and cannot be used. Throws when it is sound and cannot be used all the
/// same: a newer version has written it; then it is untouched. Reads all of the file; `watch`,
/// which may be null, sees that it gets on, and may end it: that throws, and nothing is changed.
outcome open_spool(sqlite_connection& db, const std::string& file, work_watch* watch);

/// Makes a new file of all that can be read of the damaged one, in steps that a kill may end
/// anywhere: the next `finish_repair` does the rest. The damaged file is kept under another name,
/// which is returned. Holds one batch in memory at a time. Ended by its `watch` it throws, and the
/// damaged file stays for the next try.
std::string repair_spool(const std::string& file, work_watch* watch);

/// Ends a repair that was cut short; the name of the damaged file, if there was one to end.
std::optional<std::string> finish_repair(const std::string& file);

} // namespace phi::store
