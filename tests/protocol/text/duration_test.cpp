#include "protocol/text/duration.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace std::chrono_literals;

TEST_CASE("durations: as exact as a person wants to know them") {
  CHECK(show_duration(0s) == "0.0 ms");
  CHECK(show_duration(49us) == "0.0 ms");
  CHECK(show_duration(51us) == "0.1 ms");
  CHECK(show_duration(1200us) == "1.2 ms");
  CHECK(show_duration(9940us) == "9.9 ms");
  CHECK(show_duration(10ms) == "10 ms");
  CHECK(show_duration(12'345us) == "12 ms");
  CHECK(show_duration(999ms) == "999 ms");
  CHECK(show_duration(1s) == "1.0 s");
  CHECK(show_duration(1949ms) == "1.9 s");
  CHECK(show_duration(90s) == "90.0 s");
  CHECK(show_duration(1h) == "3600.0 s");
  CHECK(show_duration(duration::max()).ends_with(" s"));
}
