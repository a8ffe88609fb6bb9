#pragma once
/// Which events are stored already: each identity once. The newest are a set in memory, the older
/// ones are in runs (identity_run.hpp). All of it is derived from the rows: after a kill the set is
/// made again from the rows behind the last run. Only of deleted rows the runs alone know.
///
/// Every function but `settled` and `forgotten` belongs into a transaction of the writer, which
/// says how that has ended. Throws sqlite_error, and `damaged_run` for a run that must be made
/// anew.

#include "server/statistics/inspection.hpp"
#include "server/store/sqlite/digest_set.hpp"
#include "server/store/sqlite/lost_identities.hpp"
#include "server/store/sqlite/ports.hpp"
#include "server/store/sqlite/run_merge.hpp"

#include <deque>
#include <optional>

namespace phi::store {

/// Has the damaged run made anew when it is opened next. False: nothing has changed.
bool mark_damaged(sqlite_connection& db, const damaged_run& found);

/// Their number and their sum: of the rows, and of the runs with the rows behind them. For any
/// connection, within a transaction.
std::vector<statistics::compared> compare_identities(sqlite_connection& db);

class identities {
public:
  /// Reads the runs, and the rows behind them: of a few generations, or all when there are no runs,
  /// or a damaged one: of that it takes over what can be read. Outside of any transaction; throws
  /// written_by_others as well.
  identities(sqlite_connection& db, identity_limits limits);

  /// It is going to be added soon: has the processor fetch what says whether it is known. Where
  /// millions are stored, `add` waits for memory most of its time otherwise.
  void expect(const digest& identity) const;
  /// True: it is new, and from now on it is not.
  bool add(const digest& identity);
  /// Of an event that is new as far as is known: whether it may have been stored all the same.
  bool may_be_lost(const event& e) const { return lost_.may_contain(e); }
  /// Identities of deleted rows that are known no more.
  int64_t lost() const { return lost_.size(); }

  /// How many were added in this transaction; and takes back those behind the first `kept`.
  size_t added() const { return added_.size(); }
  void take_back(size_t kept);

  /// Makes runs of what has gathered, in proportion to `events` that came: a slice of a few
  /// milliseconds at most.
  void make_runs(size_t events);

  /// The transaction is committed, and its last row is `last_seq`.
  void settled(int64_t last_seq);
  /// It was rolled back.
  void forgotten();
  /// What `make_runs` wrote was rolled back, the rest of the transaction was not.
  void give_up_run();

  /// Another connection has written: takes in its rows, within the transaction that is open. False:
  /// it has to be read anew.
  bool catch_up();

  bool is_making_runs() const { return merge_.has_value() || sweeping_ || !full_.empty(); }
  int64_t last_seq() const { return last_seq_; }
  /// The last row whose identity is in a run, as are those of all rows before it.
  int64_t last_run_seq() const;
  /// Between transactions: what has gathered becomes a run although it is not full.
  void finish_generation();
  /// Full sets that are not runs yet.
  size_t waiting() const { return full_.size(); }

private:
  /// A set that is full, and what of it is being written.
  struct generation {
    digest_set digests;
    int64_t last_seq = 0;
  };

  void load();
  void load_rows_behind(int64_t seq, bool are_new);
  void make_damaged_anew(const std::vector<identity_run>& damaged);
  std::vector<digest_range> take_over(const identity_run& damaged);
  void learn(const digest& identity);
  void drop_damaged(const std::vector<identity_run>& damaged, std::vector<digest_range> lost);
  void make_run_now();
  bool known(const digest& identity);
  bool begin_merge();
  bool begin_run_of_generation();
  bool begin_run_of_level();
  bool has_room_for(size_t level);
  void sweep(int64_t rows);
  void finish_merge();
  void replace_inputs();
  void hold_filters();

  sqlite_connection& db_;
  const int64_t version_; ///< of the data, before they were read
  identity_limits limits_;
  identity_tables tables_;
  lost_identities lost_;
  digest_set newest_;
  std::deque<generation> full_;    ///< oldest first
  std::vector<identity_run> runs_; ///< oldest first
  std::vector<digest> added_;      ///< by the transaction that is open
  int64_t last_seq_ = 0;

  std::optional<run_merge> merge_;
  std::vector<int64_t> inputs_; ///< the runs that it replaces; empty: the oldest full generation
  bool whole_ = false;          ///< the merge is done, in the transaction that is open
  bool sweeping_ = true;        ///< there may be blocks of runs that are gone
  bool gave_up_ = false; ///< a run, for an error: what is left of it goes before the next one
  std::optional<damaged_run> damage_; ///< was found after a commit
};

} // namespace phi::store
