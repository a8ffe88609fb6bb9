#include "server/statistics/time_zones.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>

using namespace phi;

namespace {

constexpr int64_t hour_us = 3'600'000'000;

int32_t day(int year, unsigned month, unsigned d) {
  using namespace std::chrono;
  return sys_days{
    year_month_day{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{d}}}
    .time_since_epoch()
    .count();
}

int64_t hours_of(const char* zone, int32_t which) {
  auto range = day_in_zone(zone, which);
  return (range.end_us - range.begin_us) / hour_us;
}

} // namespace

TEST_CASE("days have the length that the clocks showed") {
  CHECK(hours_of("Europe/Berlin", day(2025, 3, 30)) == 23);
  CHECK(hours_of("Europe/Berlin", day(2025, 10, 26)) == 25);
  CHECK(hours_of("America/New_York", day(2025, 3, 9)) == 23);
  CHECK(hours_of("UTC", day(2025, 3, 30)) == 24);
  CHECK(hours_of("Asia/Kathmandu", day(2025, 6, 1)) == 24);
  // Midnight itself was skipped: the day begins after the gap.
  CHECK(hours_of("America/Sao_Paulo", day(2018, 11, 4)) == 23);
  // Samoa had no 30 December 2011 at all.
  CHECK(hours_of("Pacific/Apia", day(2011, 12, 30)) == 0);
  CHECK(day_in_zone("Asia/Kathmandu", 0).begin_us == -(5 * hour_us + hour_us / 2));
  auto lord_howe = day_in_zone("Australia/Lord_Howe", day(2025, 10, 5));
  CHECK(lord_howe.end_us - lord_howe.begin_us == 23 * hour_us + hour_us / 2);
}

TEST_CASE("each day ends where the next begins, all year, in every kind of zone") {
  for (auto zone : {"Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo",
                    "Pacific/Chatham"})
    for (int32_t d = day(2024, 12, 31); d < day(2026, 1, 2); ++d) {
      auto today = day_in_zone(zone, d);
      REQUIRE(today.end_us == day_in_zone(zone, d + 1).begin_us);
      REQUIRE(today.begin_us % 900'000'000 == 0); // what the 15-minute slots rely on
    }
}

TEST_CASE("unknown zones are found out, with the closest name") {
  CHECK(is_time_zone("Europe/Berlin"));
  CHECK_FALSE(is_time_zone("Europe/Berln"));
  CHECK_FALSE(is_time_zone(""));
  CHECK_FALSE(is_time_zone("../../etc/passwd"));
  CHECK(closest_time_zone("Europe/Berln") == "Europe/Berlin");
  CHECK(closest_time_zone("xqzwv").empty());
}

namespace {

std::vector<std::string> labels(const char* zone, interval by, time_range range) {
  std::vector<std::string> out;
  auto last_us = range.begin_us;
  for (const auto& bucket : buckets_in_zone(zone, by, range)) {
    CHECK(bucket.range.begin_us == last_us);
    last_us = bucket.range.end_us;
    out.push_back(bucket.label);
  }
  CHECK(last_us == range.end_us);
  return out;
}

} // namespace

TEST_CASE("hours are those that the clocks show: 23 or 25 a day, and each is told apart") {
  auto hours = [](const char* zone, int32_t which) {
    return labels(zone, interval::hour, day_in_zone(zone, which));
  };
  auto spring = hours("Europe/Berlin", day(2026, 3, 29));
  REQUIRE(spring.size() == 23);
  CHECK(spring[1] == "2026-03-29T01:00:00+01:00");
  CHECK(spring[2] == "2026-03-29T03:00:00+02:00");
  auto autumn = hours("Europe/Berlin", day(2026, 10, 25));
  REQUIRE(autumn.size() == 25);
  CHECK(autumn[2] == "2026-10-25T02:00:00+02:00");
  CHECK(autumn[3] == "2026-10-25T02:00:00+01:00");
  CHECK(hours("Asia/Kathmandu", day(2026, 1, 1))[1] == "2026-01-01T01:00:00+05:45");
  CHECK(hours("America/St_Johns", day(2026, 1, 1))[0] == "2026-01-01T00:00:00-03:30");
  // Half an hour is skipped, and shown twice.
  auto skipped = hours("Australia/Lord_Howe", day(2026, 10, 4));
  REQUIRE(skipped.size() == 24);
  CHECK(skipped[2] == "2026-10-04T02:30:00+11:00");
  CHECK(skipped[3] == "2026-10-04T03:00:00+11:00");
  auto twice = hours("Australia/Lord_Howe", day(2026, 4, 5));
  REQUIRE(twice.size() == 25);
  CHECK(twice[1] == "2026-04-05T01:00:00+11:00");
  CHECK(twice[2] == "2026-04-05T01:30:00+10:30");
  // Clocks were moved a minute past midnight.
  auto minute = hours("America/St_Johns", day(2010, 3, 14));
  REQUIRE(minute.size() == 24);
  CHECK(minute[0] == "2010-03-14T00:00:00-03:30");
  CHECK(minute[1] == "2010-03-14T01:01:00-02:30");
  CHECK(minute[2] == "2010-03-14T02:00:00-02:30");
  CHECK(hours("Pacific/Apia", day(2011, 12, 30)).empty());
}

TEST_CASE("buckets: weeks from Monday, months; at the ends what is in the range") {
  auto range_of = [](const char* zone, int32_t first, int32_t last) {
    return time_range{day_in_zone(zone, first).begin_us, day_in_zone(zone, last).end_us};
  };
  const auto year = range_of("Asia/Kathmandu", day(2025, 12, 31), day(2026, 3, 1));
  CHECK(labels("Asia/Kathmandu", interval::month, year)
        == std::vector<std::string>{"2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01"});
  auto weeks = labels("Asia/Kathmandu", interval::week, year);
  CHECK(weeks.front() == "2025-12-29"); // a Monday
  CHECK(weeks.back() == "2026-02-23");
  CHECK(weeks.size() == 9);
  CHECK(labels("UTC", interval::week, range_of("UTC", day(1969, 12, 28), day(1969, 12, 29)))
        == std::vector<std::string>{"1969-12-22", "1969-12-29"});
  CHECK(labels("UTC", interval::day, {hour_us, 2 * hour_us})
        == std::vector<std::string>{"1970-01-01"});
  CHECK(labels("UTC", interval::hour, {hour_us / 2, 3 * hour_us / 2})
        == std::vector<std::string>{"1970-01-01T00:30:00+00:00", "1970-01-01T01:00:00+00:00"});
}
