// Where the watchdog writes how the service is, and everybody reads it.

#include "actors/health_board.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace std::chrono_literals;

TEST_CASE("nobody who looks is a cause of its own, but not before the first look or in a stop") {
  health_board board{6s};
  time_point now{};
  CHECK(board.read(now + 1h).causes.empty());
  board.write({{{"store", cause_kind::degraded, "away"}}, true}, now);
  CHECK(board.read(now + 5999ms).text() == "store: away");
  CHECK(board.read(now + 5999ms).refuses_events);
  CHECK(board.read(now + 6s).text() == "store: away; watchdog: has not looked for 6.0 s");
  board.rest();
  CHECK(board.read(now + 1h).causes.empty());
}

TEST_CASE("health board: what was written last holds, whole, and a rest can be followed by more") {
  health_board board{6s};
  time_point now{};
  board.write({{{"store", cause_kind::degraded, "away"}}, true}, now);
  board.write({{{"http", cause_kind::silent, "hangs", "h"}}}, now + 5s);
  CHECK(board.read(now + 10s).text() == "http: hangs");
  CHECK_FALSE(board.read(now + 10s).refuses_events);
  auto stale = board.read(now + 11s);
  REQUIRE(stale.causes.size() == 2);
  CHECK(stale.causes[1].who == actor_name::watchdog);
  CHECK(stale.causes[1].kind == cause_kind::silent);
  CHECK(stale.causes[1].why_in_short == "has not looked for 6.0 s"); // nothing that is secret
  CHECK(board.read(now + 10s).causes.size() == 1);                   // a look changes nothing
  board.rest();
  CHECK_FALSE(board.read(now + 11s).degraded());
  board.write({{{"stats", cause_kind::degraded, "full"}}}, now + 12s);
  CHECK(board.read(now + 12s).text() == "stats: full");
  CHECK(board.read(now + 18s).causes.size() == 2);
}
