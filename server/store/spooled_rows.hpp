#pragma once
/// The rows of a spool file, each with a checksum, and what can be saved of a file that is damaged.

#include "server/store/sqlite.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace phi::store {

/// One row as it is, for checks and for saving what can be read of a damaged file.
struct kept_batch {
  int64_t seq = 0;
  std::string id;
  int64_t taken_us = 0;
  int64_t events = 0;
  std::string body;
  std::string checksum;
  std::string aside;

  /// Empty, or what is wrong.
  std::string damage() const;
};

/// For read_row.
inline const std::string select_kept =
  "SELECT seq, id, taken_us, events, body, checksum, aside FROM batch ";

kept_batch read_row(const statement& row);
/// Does nothing when a batch with this id is there already.
void write_row(database& db, const kept_batch& kept);

/// All that can be read of a damaged file, by its number: from the front until it breaks, then from
/// the back.
std::map<int64_t, kept_batch> salvage(const std::string& file);

} // namespace phi::store
