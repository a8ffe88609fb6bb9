#include "actors/rate_meter.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>

using namespace phi;
using namespace std::chrono_literals;

TEST_CASE("rate: Retry-After follows backlog and rate, within bounds") {
  rate_meter rate;
  CHECK(rate.retry_after_s(1'000'000) == 1); // nothing measured yet
  for (int i = 0; i < 100; ++i)
    rate.add(1000, 100ms); // 10 000 events/s
  CHECK(rate.seconds_for(5000) == doctest::Approx(0.5).epsilon(0.01));
  CHECK(rate.retry_after_s(100) == 1);
  CHECK(rate.retry_after_s(95'000) == 10);
  CHECK(rate.retry_after_s(100'000'000) == 60);
}
