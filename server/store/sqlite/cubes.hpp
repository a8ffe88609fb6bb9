#pragma once
/// Keeps the cubes behind the events: writes those of a tail that is full, and merges small ones.
/// All of it is derived from the rows, and a mark says up to which row: after a kill the rows
/// behind it are a tail again.
///
/// Every function but `settled` and `forgotten` belongs into a transaction of the writer, which
/// says how that has ended. Throws sqlite_error.

#include "server/statistics/cube_builder.hpp"
#include "server/store/damaged_days.hpp"
#include "server/store/sqlite/cube_table.hpp"

#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>

namespace phi::store {

class cubes {
public:
  /// `damaged`: where readers put down what they find.
  cubes(sqlite_connection& db, const cube_limits& limits, std::shared_ptr<damaged_days> damaged);

  /// Outside of any transaction: makes cubes of all rows up to `last_seq` but a tail, in steps
  /// that a kill may end anywhere. Says so when it takes long. Throws written_by_others as well.
  void catch_up(int64_t last_seq);

  /// A slice of what is to be done, in proportion to `events` that came; 0: nothing comes for now.
  /// `last_seq`: the last row that is committed.
  void work(size_t events, int64_t last_seq);

  /// The transaction is committed; or it was rolled back, or what `work` did in it.
  void settled();
  void forgotten();

  /// Another connection has written: what is under way begins anew.
  void read_again();

  bool is_working(int64_t last_seq) const;
  /// The row up to which cubes hold all.
  int64_t last_seq() const { return mark_.last_seq; }
  /// Whether rows are needed to make counts anew: none must be deleted meanwhile.
  bool is_repairing() const { return repair_ || sorting_out_ || !damaged_->empty(); }
  /// How many cubes there are.
  size_t size() const { return list_.size(); }
  /// Events since it was made with a value for which its day had no room.
  uint64_t counted_as_other() const { return counted_as_other_; }

private:
  /// How far a repair has come on disk.
  struct repair_point {
    /// An empty cube, which whoever reads the day takes for a damaged one: from before the first of
    /// the old cubes goes until the last of the new ones is there.
    std::optional<listed_cube> barrier;
    int64_t next = std::numeric_limits<int64_t>::min(); ///< rows before it are in new cubes
  };
  /// A day whose cubes are made again from the rows.
  struct repair {
    int32_t day = 0;
    int64_t up_to = 0; ///< newer rows are in cubes of their own
    repair_point committed;
    repair_point open;
    statistics::cube_tail rows{}; ///< those before `read_to` that are in no new cube yet
    int64_t read_to = std::numeric_limits<int64_t>::min();
  };
  /// A day whose damaged cubes nothing can replace.
  struct sorting_out {
    int32_t day = 0;
    std::vector<listed_cube> left{}; ///< cubes that are still to be read
    size_t lost = 0;
  };
  /// What the open transaction has done.
  struct changes {
    std::vector<listed_cube> flushed; ///< of a flush that goes on
    std::vector<listed_cube> added;
    std::vector<listed_cube> removed;
    bool swept = false; ///< what was left is deleted
    size_t days_written = 0;
    int64_t last_cube = 0;
    uint64_t counted_as_other = 0;
    std::set<std::pair<int32_t, statistics::dimension>> full;
    std::optional<int64_t> last_seq; ///< the flush is whole
    std::optional<int32_t> repaired;
    bool sorted_out = false;
  };

  bool step(bool at_rest, int64_t last_seq, int64_t tail_from);
  void begin_flush(int64_t last_seq, int64_t rows);
  void read_rows();
  void note_others(const statistics::cube& made, uint64_t before);
  void log_full();
  void flush_some();
  void flush_day();
  void end_flush();
  bool merge_some(bool at_rest);
  void repair_some();
  void begin_to_replace();
  std::optional<listed_cube> next_to_replace() const;
  bool read_rows_of_repair();
  void write_repaired();
  void add(const listed_cube& made);
  void remove(const listed_cube& gone);
  void replace(const std::vector<listed_cube>& parts, const listed_cube& by);
  void begin_repairs();
  void begin_repair(int32_t day);
  void end_repair();
  void sort_out_some();
  listed_cube put(int32_t day, int64_t level, int64_t last_seq, const statistics::cube& whole);
  bool is_flushing() const { return flush_.has_value(); }

  cube_limits limits_;
  std::shared_ptr<damaged_days> damaged_;
  sqlite_connection& db_;
  cube_table table_;
  cube_list list_;
  counted_mark mark_;
  int64_t version_ = 0; ///< of the data, before they were read

  /// Rows that are on their way into cubes.
  struct flush {
    int64_t end = 0;  ///< their last row at most
    int64_t left = 0; ///< how many are still to be read
  };

  std::optional<flush> flush_;
  statistics::cube_tail frozen_; ///< its rows
  std::vector<statistics::cube_tail::day> frozen_days_;
  size_t days_written_ = 0;
  std::vector<listed_cube> flushed_; ///< by slices that are committed
  std::vector<int64_t> left_;        ///< by a flush that did not come to its end
  std::optional<repair> repair_;     ///< one of both at most
  std::optional<sorting_out> sorting_out_;
  changes open_;
  uint64_t counted_as_other_ = 0;
  /// Days and dimensions of which the log has said that they have no room.
  std::set<std::pair<int32_t, statistics::dimension>> full_;
  uint64_t work_done_ = 0; ///< in this slice, about bytes
  std::chrono::steady_clock::time_point flushed_at_ = std::chrono::steady_clock::now();
};

} // namespace phi::store
