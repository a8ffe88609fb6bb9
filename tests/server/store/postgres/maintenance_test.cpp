// Maintenance of PostgreSQL, a step at a time.

#include "server/store/postgres/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/postgres_server.hpp"

#include <limits>
#include <string>
#include <thread>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
using namespace std::chrono_literals;

TEST_CASE("PostgreSQL: roll-ups that are made again hold sums that would overflow") {
  postgres_server server;
  postgres_settings settings{.url = server.url(),
                             .instance = "one",
                             .connect_timeout = 2s,
                             .commit_timeout = 5s,
                             .keep_days = 180};
  auto store = make_postgres_store(settings);
  REQUIRE(store->open().why() == "");
  constexpr auto huge = std::numeric_limits<int64_t>::max();
  auto today_us = server.number("SELECT (extract(epoch FROM now()) * 1000000)::int8");
  auto slow = [&](uint32_t number, const std::string& feature, int64_t us) {
    auto e = make_event(number, feature, today_us);
    e.duration_us = us;
    return e;
  };
  REQUIRE(
    store->commit(*batch_of({{slow(1, "f", huge), slow(2, "f", huge), slow(3, "g", 5)}})).error
    == error_code::none);
  server.ask("DELETE FROM rollup_count");
  auto maintenance = make_postgres_maintenance(settings);
  std::string did;
  for (int steps = 0; steps < 20 && did.find("made the roll-ups of ") == did.npos; ++steps) {
    auto done = maintenance->step();
    REQUIRE(done.ended.why() == "");
    did = done.did;
  }
  CHECK(server.number("SELECT sum_us FROM rollup_count WHERE feature = 'f'") == huge);
  CHECK(server.number("SELECT sum_us FROM rollup_count WHERE feature = 'g'") == 5);
  CHECK(server.number("SELECT sum(n) FROM rollup_count") == 3);
}

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
