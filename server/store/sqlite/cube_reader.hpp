#pragma once
/// Counts out of the cubes of the embedded database and the rows that they do not hold yet.

#include "server/statistics/inspection.hpp"
#include "server/statistics/tally.hpp"
#include "server/store/sqlite/cube_table.hpp"

#include <unordered_map>

namespace phi::store {

/// On the reading connection, by one thread. It keeps cubes that it has read, within a bound, and
/// the events behind the mark.
class cube_reader : public statistics::tally_source {
public:
  explicit cube_reader(sqlite_connection& db) : db_(db), table_(db) {}

  /// The state of the transaction that has begun: what is counted from now on is as of it.
  void begin();

  /// Throws sqlite_error, also when the connection's watch ends it; `damaged_day`; `newer_day`.
  void read(statistics::count_reader& builder) override;

private:
  struct kept_cube {
    statistics::cube cube;
    size_t bytes = 0;
    uint64_t used = 0; ///< in which question, the last time
  };

  const statistics::cube& get(int64_t id, statistics::cube_parts parts);
  void make_room(size_t bytes);

  sqlite_connection& db_;
  cube_table table_;
  counted_mark mark_;
  statistics::cube_tail tail_;
  int64_t tail_read_to_ = 0; ///< the row up to which the tail is kept
  std::unordered_map<int64_t, kept_cube> kept_;
  statistics::cube not_kept_; ///< one for which there is no room
  size_t kept_bytes_ = 0;
  uint64_t question_ = 0;
};

/// The counts against all rows: in all, and by day in whatever a cube tells apart. Of days whose
/// rows are deleted it reads the cubes. Walks once over cubes and rows, with a few numbers of each
/// day in memory; the connection's watch may end it. Within a transaction, after `begin`.
std::vector<statistics::compared> compare_counts(sqlite_connection& db, cube_reader& counts);

} // namespace phi::store
