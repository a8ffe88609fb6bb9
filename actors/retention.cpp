#include "actors/retention.hpp"

#include <algorithm>

namespace phi {

kept_rows next_kept_rows(kept_rows was, int64_t now_us, int64_t keep_days,
                         std::chrono::microseconds pause) {
  constexpr int64_t day_us = 86'400'000'000;
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
