#pragma once
/// Deletes rows of events that are older than they are to be kept, a few at a time. What was
/// counted of them stays.

#include "actors/retention.hpp"
#include "server/platform/digest.hpp"
#include "server/statistics/inspection.hpp"
#include "server/store/sqlite/connection.hpp"

#include <limits>
#include <optional>
#include <set>

namespace phi::store {

/// Identities of rows: how many, and their sum, by which they are compared with those of the runs.
struct identity_sums {
  int64_t number = 0;
  int64_t sum = 0;

  void add(const digest& identity);
  /// Without these.
  identity_sums less(const identity_sums& some) const;
};

/// What a database knows of its deleted rows. For any connection, within a transaction.
struct deleted_rows {
  /// The first UTC day whose rows are all there; lower than any day: none were deleted.
  int64_t from_day = statistics::all_days;
  identity_sums identities;
};
deleted_rows read_deleted_rows(sqlite_connection& db);

/// So many identities of deleted rows are known no more.
void forget_deleted_identities(sqlite_connection& db, const identity_sums& lost);

/// Of the writing connection. `step` belongs into a transaction of the writer, which says how that
/// has ended. Throws sqlite_error.
class row_retention {
public:
  explicit row_retention(sqlite_connection& db);

  /// Another connection has written, within the transaction that is open.
  void read_again();

  /// Before anything is written with this clock: notes of which days there are rows.
  void note_days();
  /// With the first rows of a database that had none: there was nothing to hold the clock against,
  /// and never will be. Mostly it has nothing to do; cheap.
  void begin(int64_t now_us, int64_t keep_days);

  /// Whether a step has something to do; cheap.
  bool is_due(int64_t now_us, int64_t keep_days) const;

  /// Looks at some thousand rows, and deletes those of days that are over. `up_to`: the last row
  /// that may go: cubes hold it, and a run its identity.
  void step(int64_t now_us, int64_t keep_days, int64_t up_to);
  void settled() { now_ = next_; }
  void forgotten() { next_ = now_; }

  /// Rows that wait for being deleted are behind `up_to`: somebody has to bring that forward.
  bool is_held_up() const { return now_.held_up; }

private:
  struct state {
    kept_rows kept;
    int64_t swept_day = std::numeric_limits<int64_t>::min(); ///< all before it went once
    int64_t next_row = 0;                                    ///< where this pass goes on
    identity_sums deleted;
    bool held_up = false;
  };

  kept_rows next_kept(int64_t now_us, int64_t keep_days);
  void sweep_some(int64_t up_to);
  void delete_rows(int64_t first, int64_t last, int64_t before_us);
  void write();

  sqlite_connection& db_;
  state now_;                       ///< committed
  state next_;                      ///< in the transaction that is open
  std::optional<int64_t> pass_day_; ///< all before it go in this pass; none: it is another's
  int64_t held_at_ = 0;             ///< `up_to` of the last step
  int64_t lost_from_ = -1; ///< rows from here on, and before `lost_to_`, are on a lost page
  int64_t lost_to_ = -1;
  std::set<int64_t> days_; ///< until the first step
  bool was_empty_ = false; ///< no day had any rows
};

} // namespace phi::store
