// From which day on rows are kept.

#include "actors/retention.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr int64_t day = 86'400'000'000;
constexpr int64_t hour = day / 24;
constexpr int64_t today = 20'000;
constexpr auto pause = 12h;

kept_rows next(const kept_rows& was, int64_t now_us, int64_t keep_days = 30) {
  return next_kept_rows(was, now_us, keep_days, pause);
}

} // namespace

TEST_CASE("retention: each midnight moves the first day by one") {
  auto kept = next({}, today * day);
  CHECK(kept == kept_rows{today - 30, 30, today * day});
  CHECK(next(kept, today * day + 23 * hour) == kept);
  for (int64_t i = 1; i < 10; ++i) {
    kept = next(kept, (today + i) * day + 1);
    CHECK(*kept.from_day == today + i - 30);
    CHECK(next(kept, (today + i) * day + hour) == kept);
  }
}

TEST_CASE("retention: a clock that jumps a year ahead drops one day, not all") {
  const auto before = next({}, today * day);
  auto kept = before;
  const auto ahead = (today + 365) * day;
  for (int64_t seconds = 0; seconds < 3600; ++seconds)
    kept = next(kept, ahead + seconds * 1'000'000);
  CHECK(*kept.from_day == *before.from_day + 1);
  // And back: it does not go on where it should not be.
  kept = next(kept, today * day + hour);
  CHECK(*kept.from_day == *before.from_day + 1);
}

TEST_CASE("retention: after ten days without an instance it catches up, a day each twelve hours") {
  auto kept = next({}, today * day);
  for (int64_t hours = 0; hours < 24 * 20; ++hours)
    kept = next(kept, (today + 10) * day + hours * hour);
  CHECK(*kept.from_day == today + 10 + 19 - 30);
}

TEST_CASE("retention: fewer days to keep hold at once, more bring nothing back") {
  auto kept = next({}, today * day, 180);
  kept = next(kept, today * day + hour, 30);
  CHECK(*kept.from_day == today - 30);
  kept = next(kept, today * day + 2 * hour, 90);
  CHECK(kept == kept_rows{today - 30, 90, today * day});
  kept = next(kept, today * day + 3 * hour, 30); // of two that do not agree
  CHECK(*kept.from_day == today - 30);
}
