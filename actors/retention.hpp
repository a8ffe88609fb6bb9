#pragma once
/// From which day on rows are kept, when several clocks and an operator have a say. A clock that
/// runs ahead must not empty the database: what is dropped cannot be had again.

#include "protocol/time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>

namespace phi {

/// As the database remembers it.
struct kept_rows {
  std::optional<int64_t> from_day;  ///< days since 1970; nothing: rows were never dropped
  std::optional<int64_t> keep_days; ///< as last asked for
  int64_t moved_at_us = 0;          ///< when time last moved `from_day`

  bool operator==(const kept_rows&) const = default;
};

/// The first ones of a database that has rows of these days (UTC): nothing is dropped that would
/// not be too old on the day after the last of them. Days that are apart from most others, by more
/// than are kept, say nothing: a clock was wrong when their rows were written. Nothing: there are
/// no rows, and so there is nothing to hold a clock against.
std::optional<kept_rows> first_kept_rows(const std::set<int64_t>& days, int64_t now_us,
                                         int64_t keep_days);

/// The next `kept_rows` at `now_us`. Time moves the first day by one a day (UTC), and never twice
/// within `pause`: after a gap, or a jump of the clock, nothing goes faster than time passes. What
/// a gap left behind is caught up by one more each seventh day: whoever set a limit means it, and a
/// wrong clock is seen within a week. Fewer days to keep are an operator's wish and hold at once.
kept_rows next_kept_rows(kept_rows was, int64_t now_us, int64_t keep_days,
                         std::chrono::microseconds pause);

} // namespace phi
