#include "actors/status_line.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

} // namespace

TEST_CASE("status line: state, rate, queue") {
  status_line line;
  service_status status{.state = service_state::ready, .ledger = ledger_counts{}};
  status.children.push_back(
    {.actor = "http", .says = actor_status{.gauges = {{"connections", 12}}}});
  status.ledger->stored = 1'000'000;
  CHECK(line.show(status, t0) == "ready: 0 events/s, 0 queued, 1 000 000 stored, 12 connections");
  status.ledger->stored += 5000;
  status.ledger->in_queue = 7;
  CHECK(line.show(status, t0 + 2s)
        == "ready: 2 500 events/s, 7 queued, 1 005 000 stored, 12 connections");
  status.ledger.reset();
  CHECK(line.show(status, t0 + 4s) == "ready: stats does not answer");
}
