#include "actors/restart_policy.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

} // namespace

TEST_CASE("restart: waits double, the limit counts within the window") {
  restart_policy policy{{.limit = 3, .window = 60s, .first_wait = 100ms, .longest_wait = 300ms}};
  CHECK(policy.on_death(t0) == duration{100ms});
  CHECK(policy.on_death(t0 + 1s) == duration{200ms});
  CHECK(policy.on_death(t0 + 2s) == duration{300ms});
  CHECK_FALSE(policy.on_death(t0 + 3s));
  CHECK(policy.on_death(t0 + 62s).has_value());
}

TEST_CASE("restart: other limits do not make it forget what was") {
  restart_policy policy{{.limit = 3, .window = 60s, .first_wait = 100ms, .longest_wait = 300ms}};
  CHECK(policy.on_death(t0) == duration{100ms});
  CHECK(policy.on_death(t0 + 1s) == duration{200ms});
  policy.apply_settings({.limit = 3, .window = 60s, .first_wait = 50ms, .longest_wait = 1s});
  CHECK(policy.on_death(t0 + 2s) == duration{200ms}); // the third
  CHECK_FALSE(policy.on_death(t0 + 3s));
  policy.apply_settings({.limit = 4, .window = 60s, .first_wait = 50ms, .longest_wait = 1s});
  CHECK(policy.on_death(t0 + 4s) == duration{400ms}); // the fourth
  policy.apply_settings({.limit = 1, .window = 1s, .first_wait = 50ms, .longest_wait = 1s});
  CHECK(policy.on_death(t0 + 6s) == duration{50ms});
}
