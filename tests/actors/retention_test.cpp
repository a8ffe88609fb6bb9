// From which day on rows are kept.

#include "actors/retention.hpp"
#include "tests/support/doctest.hpp"

#include <vector>

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

TEST_CASE("retention: after ten days without an instance one more goes each seventh day") {
  auto kept = next({}, today * day);
  std::vector<int64_t> gone; // days of the moves, since the gap
  for (int64_t hours = 0; hours < 24 * 90; ++hours) {
    auto was = *kept.from_day;
    kept = next(kept, (today + 10) * day + hours * hour);
    CHECK(*kept.from_day - was <= 1);
    if (*kept.from_day != was)
      gone.push_back(hours / 24);
  }
  // 90 days and the ten of the gap less the day of the last midnight; never three within a day.
  CHECK(*kept.from_day == today + 10 + 89 - 30);
  CHECK(gone.size() == 99);
  for (size_t i = 0; i + 1 < gone.size(); ++i) {
    bool twice = gone[i] == gone[i + 1];
    bool seventh = (today + 10 + gone[i]) % 7 == 0;
    CHECK((!twice || seventh));
  }
}

TEST_CASE("retention: a clock a year ahead for six days takes six days, around midnight one") {
  auto kept = next({}, today * day);
  const auto from = *kept.from_day;
  auto ahead = (today + 365) / 7 * 7 + 1; // six days that are no seventh
  for (int64_t hours = 0; hours < 24 * 6; ++hours)
    kept = next(kept, ahead * day + hours * hour);
  CHECK(*kept.from_day == from + 6);
  const auto midnight = next({}, today * day);
  kept = midnight;
  for (int64_t seconds = -30; seconds < 30; ++seconds)
    kept = next(kept, (today + 365) * day + seconds * 1'000'000);
  CHECK(*kept.from_day == *midnight.from_day + 1);
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

TEST_CASE("retention: the first step believes the rows more than a clock that runs ahead") {
  auto first = [](const std::set<int64_t>& days, int64_t now = today, int64_t keep_days = 30) {
    return first_kept_rows(days, now * day + hour, keep_days);
  };
  std::set<int64_t> year;
  for (int64_t i = today - 365; i <= today; ++i)
    year.insert(i);
  CHECK(first(year) == kept_rows{today - 30, 30, today * day + hour});
  CHECK(first(year, today + 3650) == kept_rows{today + 1 - 30, 30, (today + 3650) * day + hour});
  CHECK(*first(year, today - 3650)->from_day == today - 3650 - 30); // behind: nothing goes
  auto with_wrong = year;
  for (int64_t i = 0; i < 20; ++i)
    with_wrong.insert(today + 3650 + i); // that were written under that clock
  CHECK(*first(with_wrong, today + 3669)->from_day == today + 1 - 30);
  auto with_epoch = year;
  with_epoch.insert(0); // of a sender without a clock
  CHECK(*first(with_epoch)->from_day == today - 30);
  CHECK(*first({today - 20, today + 11})->from_day == today - 19 - 30); // as many: the earlier
  CHECK(*first({today - 20, today + 10}, today + 90)->from_day == today + 11 - 30);
  CHECK_FALSE(first({}));
}
