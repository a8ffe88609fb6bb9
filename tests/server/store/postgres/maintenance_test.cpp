// Maintenance of PostgreSQL, a step at a time.

#include "server/store/postgres/ports.hpp"
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
