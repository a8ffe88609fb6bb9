#include "actors/retention.hpp"

#include <algorithm>

namespace phi {
namespace {

constexpr int64_t day_us = 86'400'000'000;

/// Of those groups that are more than `gap` days apart the last day of the one with the most days.
std::optional<int64_t> last_of_most(const std::set<int64_t>& days, int64_t gap) {
  std::optional<int64_t> out, before;
  int64_t most = 0;
  int64_t group = 0;
  for (auto day : days) {
    group = before && day - *before <= gap ? group + 1 : 1;
    before = day;
    if (group <= most)
      continue;
    most = group;
    out = day;
  }
  return out;
}

} // namespace

std::optional<kept_rows> first_kept_rows(const std::set<int64_t>& days, int64_t now_us,
                                         int64_t keep_days) {
  auto last = last_of_most(days, keep_days);
  if (!last)
    return {};
  return kept_rows{.from_day = std::min(now_us / day_us, *last + 1) - keep_days,
                   .keep_days = keep_days,
                   .moved_at_us = now_us};
}

kept_rows next_kept_rows(kept_rows was, int64_t now_us, int64_t keep_days,
                         std::chrono::microseconds pause) {
  auto wanted = now_us / day_us - keep_days;
  auto out = was;
  out.keep_days = keep_days;
  if (!was.from_day) {
    out.from_day = wanted;
    out.moved_at_us = now_us;
    return out;
  }
  if (was.keep_days && keep_days < *was.keep_days)
    out.from_day =
      std::max(*was.from_day, std::min(wanted, *was.from_day + *was.keep_days - keep_days));
  auto today = now_us / day_us;
  bool rested = now_us - was.moved_at_us >= pause.count() || now_us < was.moved_at_us;
  bool moved_today = was.moved_at_us / day_us == today;
  bool may_catch_up = today % 7 == 0;
  if (*out.from_day < wanted && rested && (!moved_today || may_catch_up)) {
    ++*out.from_day;
    out.moved_at_us = now_us;
  }
  return out;
}

} // namespace phi
