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
  std::string aside;    ///< why it was set aside; empty: it waits
  int64_t tried_us = 0; ///< with `aside`: tried again by itself, last then; 0: not by itself

  /// As `tried_us` of one that waits: somebody wants it stored whatever its age.
  static constexpr int64_t wanted = -1;

  /// Whether it is whole.
  outcome check() const;
};

/// Whether the file itself is damaged.
bool is_damage(const sqlite_error& e);

/// For read_row.
inline const std::string select_kept =
  "SELECT seq, id, taken_us, events, body, checksum, aside, tried_us FROM batch ";

kept_batch read_row(const statement& row);
/// Does nothing when a batch with this id, or of this number, is there already.
void write_row(sqlite_connection& db, const kept_batch& kept);

/// Opens the spool at `file`, makes it if it is not there, and brings it to the form of today.
/// Fails when it is damaged and cannot be used. Throws when it is sound and cannot be used all the
/// same: a newer version has written it; then it is untouched.
outcome open_spool(sqlite_connection& db, const std::string& file);

/// Makes a new file of all that can be read of the damaged one, in steps that a kill may end
/// anywhere: the next `finish_repair` does the rest. The damaged file is kept under another name,
/// which is returned. Holds one batch in memory at a time.
std::string repair_spool(const std::string& file);

/// Ends a repair that was cut short; the name of the damaged file, if there was one to end.
std::optional<std::string> finish_repair(const std::string& file);

} // namespace phi::store
