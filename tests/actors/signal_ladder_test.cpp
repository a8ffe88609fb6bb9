#include "actors/signal_ladder.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

} // namespace

TEST_CASE("signals: first, second, third; SIGQUIT begins with fast") {
  signal_ladder plain;
  CHECK(plain.press(stop_mode::graceful, t0) == stop_mode::graceful);
  CHECK(plain.press(stop_mode::graceful, t0 + 1s) == stop_mode::fast);
  CHECK(plain.press(stop_mode::graceful, t0 + 2s) == stop_mode::immediate);
  CHECK(plain.presses() == 3);
  signal_ladder quit;
  CHECK(quit.press(stop_mode::fast, t0) == stop_mode::fast);
  CHECK(quit.press(stop_mode::graceful, t0 + 1s) == stop_mode::fast);
  CHECK(quit.press(stop_mode::graceful, t0 + 2s) == stop_mode::immediate);
}

TEST_CASE(
  "signals: those within 200 ms of one that counted are the same wish, whichever they are") {
  signal_ladder doubled;
  CHECK(doubled.press(stop_mode::graceful, t0) == stop_mode::graceful);
  for (auto after : {0ms, 1ms, 50ms, 199ms})
    CHECK_FALSE(doubled.press(stop_mode::graceful, t0 + after));
  CHECK(doubled.presses() == 1);
  CHECK(doubled.press(stop_mode::graceful, t0 + 200ms) == stop_mode::fast); // a person's second
  CHECK_FALSE(doubled.press(stop_mode::graceful, t0 + 399ms));
  CHECK(doubled.press(stop_mode::graceful, t0 + 400ms) == stop_mode::immediate);
  signal_ladder mixed; // SIGQUIT asks for more than the SIGTERM right before it
  CHECK(mixed.press(stop_mode::graceful, t0) == stop_mode::graceful);
  CHECK(mixed.press(stop_mode::fast, t0 + 1ms) == stop_mode::fast);
  CHECK_FALSE(mixed.press(stop_mode::fast, t0 + 2ms));
  CHECK(mixed.presses() == 1);
}
