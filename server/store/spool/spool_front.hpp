#pragma once
/// How batches leave the spool, in steps that may be done again whatever came of an earlier try:
/// one that has failed may be whole all the same.

#include "actors/ports/spool_port.hpp"
#include "server/store/spool/spooled_rows.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace phi::store {

/// A batch that was read to be replayed.
struct front_batch {
  int64_t seq = 0;
  std::string id;
  uint64_t events = 0;
  uint64_t bytes = 0;
  bool aside = false;
};

/// The number of the batch with this id, if it is there.
std::optional<int64_t> number_of(sqlite_connection& db, const std::string& id);

/// Deletes the rows of these; gives those that were there.
std::vector<front_batch> delete_rows(sqlite_connection& db, const std::vector<front_batch>& front);

/// The rows that keep what the database has `refused` of these, a row a batch, with numbers from
/// `next` on, which is counted up. None where an earlier try has written it, or the batch has gone.
std::vector<kept_batch> rows_of_refused(sqlite_connection& db,
                                        const std::vector<front_batch>& front,
                                        std::span<const refused_event> refused, int64_t& next);

/// What is left without these; nothing when that must be counted: what was set aside may have been
/// put back meanwhile, and never is more gone than was there.
std::optional<spool_depth> depth_without(spool_depth depth, const std::vector<front_batch>& gone);

} // namespace phi::store
