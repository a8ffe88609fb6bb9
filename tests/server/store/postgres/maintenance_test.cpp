// Maintenance of PostgreSQL, a step at a time.

#include "server/store/postgres/ports.hpp"
#include "tests/server/store/postgres/counting_fixture.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/postgres_server.hpp"

#include <thread>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
using namespace std::chrono_literals;

TEST_CASE("PostgreSQL: a session that was ended between two steps costs no maintenance") {
  postgres_server server;
  auto maintenance = make_postgres_maintenance({.url = server.url(),
                                                .instance = "one",
                                                .connect_timeout = 2s,
                                                .commit_timeout = 5s,
                                                .keep_days = 180});
  for (int steps = 0; steps < 3; ++steps) {
    CHECK(maintenance->step().ended.why() == "");
    CHECK(server.number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                        " WHERE application_name LIKE 'phi-backend %'")
          == 1);
    std::this_thread::sleep_for(100ms);
  }
}

TEST_CASE(
  "PostgreSQL: the first step of retention holds the clock against the rows, where there are any") {
  counted_server on;
  on.writer("one");
  auto settings = on.settings("retention");
  settings.keep_days = 100;
  on.server.ask("DELETE FROM about WHERE name = 'created_us'"); // of an earlier version
  int64_t expected = on.server.number("SELECT extract(epoch FROM now())::int8 / 86400") - 100;
  bool all_stay = true;
  SUBCASE("none: the clock") {}
  SUBCASE("of no partition, and one of a wrong clock") {
    auto events = random_events{41, {.first_day = 300, .days = 4}}.some(50);
    events.front().time_us = 2'000LL * 86'400'000'000;
    events[1].time_us = 303LL * 86'400'000'000;
    on.commit(events);
    expected = 303 + 1 - 100;
  }
  SUBCASE("old ones, but there were none when the database was made: the clock") {
    on.commit(random_events{43, {.first_day = 300, .days = 4}}.some(50));
    on.server.ask("INSERT INTO about VALUES ('created_us', 1)");
    all_stay = false;
  }
  SUBCASE("of a partition") {
    on.server.ask("CREATE TABLE event_1970_11_01 PARTITION OF event FOR VALUES FROM"
                  " (26265600000000) TO (26352000000000)"); // day 304
    on.commit(random_events{42, {.first_day = 304, .days = 1}}.some(50));
    expected = 304 + 1 - 100;
  }
  on.count();
  const auto rows = on.server.number("SELECT count(*) FROM event");
  auto maintenance = make_postgres_maintenance(settings);
  CHECK(maintenance->step().ended.why() == "");
  CHECK(on.server.number("SELECT value FROM about WHERE name = 'raw_from_day'") == expected);
  CHECK((on.server.number("SELECT count(*) FROM event") == rows) == all_stay);
}
