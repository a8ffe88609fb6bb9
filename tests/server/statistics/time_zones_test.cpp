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
