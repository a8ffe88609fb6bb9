#pragma once
/// Makes cubes of the rows that transactions have left uncounted, and few cubes of many.

#include "server/statistics/cube_builder.hpp"
#include "server/store/postgres/cube_rows.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace phi::store {

/// On a connection of its own. Several instances at once do no harm: each transaction takes the
/// lock of `counted` first, and looks whether another has made cubes since.
class counting {
public:
  explicit counting(const cube_limits& limits) : limits_(limits), list_(limits) {}

  struct done {
    bool more = false; ///< there is something left to do
    std::string did;   ///< worth a line in the log
  };
  /// A transaction's worth; `at_once`: also what could wait. Throws postgres_error; then nothing
  /// was done.
  done slice(postgres_connection& db, bool at_once = false);

  /// Cubes that are damaged: their days should be looked at. Each is told once.
  std::set<int32_t> take_damaged() { return std::exchange(damaged_, {}); }

private:
  struct due {
    bool lines = false;
    bool earlier_rows = false; ///< of an earlier schema
    int64_t last_line = 0;     ///< the last id that one was given
    bool rollups = false;      ///< of an earlier schema as well
    bool any() const { return lines || earlier_rows || rollups; }
  };
  /// What the transaction saw that wrote `counted`.
  struct own_write {
    int64_t transaction = 0;
    int64_t last_line = 0;
  };
  due what_is_due(postgres_connection& db, bool at_once) const;
  void work(postgres_connection& db, const due& due, const counted_state& was, done& out);
  void take_over(postgres_connection& db, int64_t from_day, done& out);
  void move_past_lines(postgres_connection& db, const due& due, const counted_state& was);
  void count_lines(postgres_connection& db, done& out);
  void count_earlier_rows(postgres_connection& db, uncounted_rows line, done& out);
  void put(postgres_connection& db, const std::vector<uncounted_rows>& lines);
  bool merge_some(postgres_connection& db, bool at_rest);
  void note_others(const statistics::cube& made, uint64_t before);

  cube_limits limits_;
  cube_list list_;
  int64_t last_cube_ = -1; ///< as of `list_`; -1: not known
  std::set<int32_t> damaged_;
  std::set<int32_t> full_; ///< days of which the log has said that they have no room
  std::optional<own_write> wrote_;
  int64_t told_at_seq_ = 0; ///< of rows of an earlier schema
  std::chrono::steady_clock::time_point told_at_{};
};

} // namespace phi::store
