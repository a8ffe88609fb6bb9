#pragma once
/// Counts out of the cubes of PostgreSQL and the rows that they do not hold yet.

#include "server/statistics/inspection.hpp"
#include "server/statistics/tally.hpp"
#include "server/statistics/tally_builder.hpp"
#include "server/store/postgres/cube_rows.hpp"

#include <optional>
#include <set>
#include <stdexcept>
#include <unordered_map>

namespace phi::store {

/// The counts of a database of an earlier schema are not all taken over yet.
class not_taken_over : public std::runtime_error {
public:
  not_taken_over()
    : std::runtime_error("the counts of an earlier version are being taken over; events are still"
                         " taken, and this answers when it is done") {}
};

/// On the reading connection, by one thread, in transactions that see one state of the data. Cubes
/// never change: those it has read it keeps, within a bound, and knows them by id and stamp. (An
/// older dump that takes the place of newer data may bring an id again.)
class cube_tally : public statistics::tally_source {
public:
  explicit cube_tally(postgres_connection& db) : db_(db) {}

  /// A question begins.
  void begin() {
    ++question_;
    lines_.reset();
  }
  /// The connection is another one: maybe to another database.
  void forget();

  /// Throws postgres_error; `damaged_day` and `newer_day` where also the rows of the day are gone;
  /// `not_taken_over`.
  void read(statistics::count_reader& builder) override;

private:
  struct kept_cube {
    statistics::cube cube;
    int64_t stamp = 0;
    size_t bytes = 0;
    uint64_t used = 0; ///< in which question, the last time
  };
  void read_without(const std::set<int32_t>& unreadable, statistics::count_reader& builder);
  void read_lines();
  std::vector<uncounted_rows> lines_of(const statistics::slot_range& range) const;
  bool add_kept(const stored_cube& which, statistics::count_reader& to);
  void keep(const stored_cube& which, statistics::cube cube);

  postgres_connection& db_;
  std::unordered_map<int64_t, kept_cube> kept_;
  size_t kept_bytes_ = 0;
  uint64_t question_ = 0;
  std::optional<std::vector<uncounted_rows>> lines_; ///< in this question, once they were read
};

/// The counts against all rows from a UTC day on: whatever can be counted. `rows`: the same
/// transaction.
std::vector<statistics::compared> compare_counts(statistics::row_source& rows, cube_tally& counts,
                                                 int64_t from_day);

} // namespace phi::store
