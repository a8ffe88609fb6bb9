#pragma once
/// Which cubes there are, and which of them should become one. Knows no database.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace phi::store {

struct listed_cube {
  int64_t id = 0;
  int64_t level = 0;    ///< 0: of a flush; the others: how often it was merged
  int64_t last_seq = 0; ///< the last row that it may hold
  uint64_t bytes = 0;   ///< of its body

  int32_t day() const { return static_cast<int32_t>(id >> 32); }
};

/// The day << 32 | a number that is given once.
int64_t cube_id(int32_t day, int64_t number);

/// What cubes take of memory, of a commit's time, and of a question's. Smaller ones are for tests.
struct cube_limits {
  /// Rows that no cube holds, about: a question adds them up one by one.
  int64_t tail_events = 8192;
  /// At rest fewer are written after this time.
  std::chrono::seconds tail_age{60};
  /// Cubes of a day and level that become one of the next: a row is written again once for each
  /// level.
  size_t fan_in = 8;
  /// Together at most so many are merged: a commit waits for it.
  uint64_t merged_bytes = 1 << 20;
  /// Distinct values of a dimension.
  size_t cap = 4096;
};

class cube_list {
public:
  explicit cube_list(const cube_limits& limits) : limits_(limits) {}

  void add(const listed_cube& cube);
  void remove(int64_t id);
  void clear();

  /// Some of a day that should become one now; empty: none.
  std::vector<listed_cube> next_merge() const;
  /// Some of a day to which nothing was added for a while, so that it is read faster; empty: none.
  /// The latest day waits until it has `fan_in` of them.
  std::vector<listed_cube> next_merge_at_rest() const;
  /// Those of a day, or none of them, as `next_merge` sees it: somebody is at it.
  void set_aside(int32_t day) { aside_.insert(day); }
  void put_back(int32_t day) { aside_.erase(day); }

  std::vector<listed_cube> of_day(int32_t day) const;
  size_t size() const { return size_; }

private:
  std::vector<listed_cube> mergeable(const std::vector<listed_cube>& of_day, int64_t level) const;
  void note(int32_t day);

  cube_limits limits_;
  std::map<int32_t, std::vector<listed_cube>> days_;
  std::set<int32_t> due_; ///< days that have enough of a level
  std::set<int32_t> aside_;
  size_t size_ = 0;
};

} // namespace phi::store
