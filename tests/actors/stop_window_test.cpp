#include "actors/stop_window.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>
#include <optional>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

} // namespace

TEST_CASE(
  "stop window: without progress we end before the manager kills, with it we ask for more") {
  stop_window window{t0, t0 + 40s, duration{5s}, 1s};
  CHECK(*window.force_at() == t0 + 4s);
  CHECK(window.progressed(t0 + 2s) == duration{5s});
  CHECK(*window.force_at() == t0 + 6s);
  CHECK_FALSE(window.progressed(t0 + 2s + 100ms)); // it waits long enough
  for (auto t = t0 + 4s; t < t0 + 60s; t += 2s)
    window.progressed(t);
  CHECK(*window.force_at() == t0 + 40s); // never beyond our own deadline
}

TEST_CASE("stop window: with a patient manager, and with none that is known, only our own deadline "
          "counts") {
  for (auto limit : {std::optional<duration>{90s}, std::optional<duration>{}})
    for (auto hard : {3s, 11s, 40s, 70s}) {
      stop_window window{t0, t0 + hard, limit, 1s};
      CHECK(window.force_at() == t0 + hard);
      for (auto t = t0 + 1s; t < t0 + hard; t += 1s) {
        CHECK_FALSE(window.progressed(t));
        CHECK(window.force_at() == t0 + hard);
      }
    }
}

TEST_CASE("stop window: without a forced exit only the manager's patience is asked for") {
  stop_window endless{t0, std::nullopt, duration{5s}, 1s};
  CHECK_FALSE(endless.force_at());
  CHECK(endless.progressed(t0 + 4s) == duration{5s});
  CHECK_FALSE(endless.force_at());
  stop_window unknown{t0, std::nullopt, std::nullopt, 1s};
  CHECK_FALSE(unknown.progressed(t0 + 4s));
  CHECK_FALSE(unknown.force_at());
}
