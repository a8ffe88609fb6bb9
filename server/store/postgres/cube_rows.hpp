#pragma once
/// Cubes in PostgreSQL, and the rows of events that none of them holds yet.
///
/// Each transaction that writes rows leaves a line that says where they are (`uncounted`). Whoever
/// makes cubes of them takes the line away in the same transaction; so in any one state of the
/// database a row is either in a cube or found by a line.
///
/// For any connection, within a transaction. Throws postgres_error, `damaged_day`, `newer_day`.

#include "server/statistics/counted_event.hpp"
#include "server/statistics/cube.hpp"
#include "server/store/cube_list.hpp"
#include "server/store/damaged_days.hpp"
#include "server/store/postgres/connection.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace phi::store {

/// Where rows are that no cube holds: those of one transaction, in bounds.
struct uncounted_rows {
  int64_t id = 0;
  std::optional<int64_t> tx; ///< none: rows of an earlier schema
  int64_t first_seq = 0, last_seq = 0;
  int64_t first_us = 0, last_us = 0;
  int64_t events = 0;
};

/// Lines of a statement that gives such, in binary.
std::vector<uncounted_rows> uncounted_of(postgres_rows rows);
std::vector<uncounted_rows> read_uncounted(postgres_connection& db, const char* sql,
                                           const std::vector<postgres_value>& values = {});

/// A row's texts are good until the next.
using take_row = std::function<void(const statistics::counted_event&)>;

/// The rows that these lines say, a few thousand at a time.
void each_row(postgres_connection& db, std::vector<uncounted_rows> lines, const take_row& take);
/// Those of a statement that gives what is counted of each.
void each_row_of(postgres_connection& db, const char* sql,
                 const std::vector<postgres_value>& values, const take_row& take);

/// What is known of all cubes together.
struct counted_state {
  int64_t last_cube = 0;                ///< the last number of one
  int64_t written_by = 0;               ///< the transaction that wrote this, but for its high bits
  std::optional<int64_t> taken_over_to; ///< a day; none: nothing of an earlier schema is left
};
/// From now on nobody else writes cubes in this transaction's time.
counted_state lock_counted(postgres_connection& db);
void set_last_cube(postgres_connection& db, int64_t last);

/// A cube as it is before it is read.
struct stored_cube {
  int64_t id = 0;
  int64_t stamp = 0;  ///< no other has this one, not even one of the same id
  int64_t events = 0; ///< of users, that it counts
  uint64_t bytes = 0; ///< of its body

  int32_t day() const { return static_cast<int32_t>(id >> 32); }
};

std::vector<listed_cube> all_cubes(postgres_connection& db);
/// Of the days `first` to `last`.
std::vector<stored_cube> cubes_of_days(postgres_connection& db, int64_t first, int64_t last);

/// A few MiB of bodies are in memory at once, or one that is larger by itself. Groups of them.
std::vector<std::vector<int64_t>> read_together(const std::vector<stored_cube>& cubes);
/// Those of them that are there, in the order of their ids.
void each_cube(postgres_connection& db, std::vector<stored_cube> cubes,
               const std::function<void(const stored_cube& cube, std::string_view body)>& take);
statistics::cube read_cube_of(int64_t id, std::string_view body, statistics::cube_parts parts);
listed_cube put_cube(postgres_connection& db, int64_t number, int64_t level,
                     const statistics::cube& whole);
/// How many of them were there.
int64_t remove_cubes(postgres_connection& db, const std::vector<int64_t>& ids);

} // namespace phi::store
