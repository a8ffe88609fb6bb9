#pragma once
/// Events that no cube holds yet, in the order of their rows.

#include "server/statistics/counted_event.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace phi::statistics {

/// Copies what is counted of events: about 100 bytes and their texts.
class cube_tail {
public:
  /// `seq`: of its row, above those before it.
  void add(int64_t seq, const counted_event& e);
  size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  /// The row of the last one; only when there is one.
  int64_t last_seq() const { return rows_.back().seq; }

  /// Good until it is changed.
  counted_event at(size_t i) const;

  /// Takes out the events of all rows up to `seq`.
  void drop_up_to(int64_t seq);
  void clear();

  /// The UTC days of its events, ascending, and where those of each are.
  struct day {
    int32_t number = 0;
    std::vector<uint32_t> events; ///< for `at`
  };
  std::vector<day> days() const;

private:
  static constexpr size_t texts = 6;
  struct row {
    int64_t seq = 0;
    int64_t time_us = 0;
    int64_t duration_us = 0;
    uint64_t user = 0;
    uint64_t address = 0;
    int32_t status = 0;
    uint32_t begin = 0; ///< of its texts, one after the other
    uint32_t lengths[texts] = {};
  };

  std::vector<row> rows_;
  std::string texts_;
};

} // namespace phi::statistics
