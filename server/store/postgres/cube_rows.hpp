#pragma once
/// Cubes in PostgreSQL, and the rows of events that none of them holds yet.
///
/// Each transaction that writes rows leaves a line that says where they are (`uncounted`). Whoever
/// makes cubes of them takes the line away in the same transaction; so in any one state of the
/// database a row is either in a cube or found by a line.
///
/// For any connection, within a transaction. Throws postgres_error, `damaged_day`.

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

/// Lines of a statement that gives such.
std::vector<uncounted_rows> read_uncounted(postgres_connection& db, const char* sql,
                                           const std::vector<postgres_value>& values = {});

/// A row's texts are good until the next.
using take_row = std::function<void(const statistics::counted_event&)>;

/// The rows that these lines say, a few thousand at a time.
void each_row(postgres_connection& db, std::vector<uncounted_rows> lines, const take_row& take);
/// Those of a statement that gives what is counted of each.
void each_row_of(postgres_connection& db, const char* sql,
                 const std::vector<postgres_value>& values, const take_row& take);

/// From now on nobody else writes cubes in this transaction's time. The last number of one.
int64_t lock_counted(postgres_connection& db);
void set_last_cube(postgres_connection& db, int64_t last);

std::vector<listed_cube> all_cubes(postgres_connection& db);
/// Of the days `first` to `last`.
std::vector<int64_t> cubes_of_days(postgres_connection& db, int64_t first, int64_t last);
/// Those of them that are there, a few at a time.
void each_cube(postgres_connection& db, const std::vector<int64_t>& ids,
               const std::function<void(int64_t id, std::string_view body)>& take);
statistics::cube read_cube_of(int64_t id, std::string_view body, statistics::cube_parts parts);
listed_cube put_cube(postgres_connection& db, int64_t number, int64_t level,
                     const statistics::cube& whole);
/// How many of them were there.
int64_t remove_cubes(postgres_connection& db, const std::vector<int64_t>& ids);

} // namespace phi::store
