#pragma once
/// Cubes in the embedded database: their rows, the mark of the last event that they hold, and the
/// events behind it.

#include "server/statistics/cube.hpp"
#include "server/statistics/cube_tail.hpp"
#include "server/store/cube_list.hpp"
#include "server/store/damaged_days.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/dead_rows.hpp"

#include <functional>
#include <vector>

namespace phi::store {

/// Up to which row cubes hold all events, and the last number that was given to a cube.
struct counted_mark {
  int64_t last_seq = 0;
  int64_t last_cube = 0;
};

/// For any connection, within a transaction. Throws sqlite_error, `damaged_day`, `newer_day`.
class cube_table {
public:
  explicit cube_table(sqlite_connection& db);

  counted_mark mark();
  void set_mark(const counted_mark& mark);

  /// All that are there, in the order of days and of their making.
  std::vector<listed_cube> all();
  /// The last number that one has which is there, also of those that are in no list any more.
  int64_t last_number();
  /// Ids of those of the days `first` to `last` that hold no row behind `last_seq`.
  std::vector<int64_t> ids(int64_t first, int64_t last, int64_t last_seq);
  statistics::cube read(int64_t id, statistics::cube_parts parts);
  void put(const listed_cube& cube, std::string_view body);
  /// From then on it is in none of these lists, also where a lost page keeps it from being deleted.
  void remove(int64_t id);

  /// Adds the events of rows behind `after`, `limit` of them at most.
  void read_tail(int64_t after, int64_t up_to, int64_t limit, statistics::cube_tail& into);
  /// The same with all rows behind `after`, one by one; their texts are good until the next.
  void each_behind(int64_t after,
                   const std::function<void(const statistics::counted_event&)>& take);

private:
  sqlite_connection& db_;
  statement get_mark_, set_mark_, all_, ids_, get_, put_, tail_;
  dead_rows dead_;
};

/// Of a row of `sql::counted_rows`; good until its next step.
statistics::counted_event counted_row(const statement& row);

} // namespace phi::store
