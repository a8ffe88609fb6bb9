#include "actors/exit_report.hpp"
#include "actors/shutdown_plan.hpp"
#include "tests/support/doctest.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

} // namespace

TEST_CASE("flaw 3: with the default shares every rung of the ladder can be reached") {
  // Budgets end before the deadline, the deadline before the forced exit.
  shutdown_plan plan{{{"http", 12s, {}}, {"stats", 7500ms, {0}}},
                     {.timeout = 30s, .force = true, .force_delay = 10s}};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  CHECK(*plan.next_wakeup() == t0 + 12s);
  auto escalated = plan.on_time(t0 + 12s);
  CHECK(std::any_of(escalated.begin(), escalated.end(),
                    [](auto& a) { return a.type == plan_action::kind::release; }));
  CHECK(*plan.next_wakeup() == t0 + 30s);
  auto forced = plan.on_time(t0 + 30s);
  CHECK(std::any_of(forced.begin(), forced.end(),
                    [](auto& a) { return a.type == plan_action::kind::kill; }));
  CHECK(plan.verdict({}) == exit_code::forced_by_deadline);
}

TEST_CASE("a delay in which clients are taken is for who has some: not for a start that failed") {
  for (auto reason : {stop_reason::terminate, stop_reason::startup_failed}) {
    shutdown_plan plan{{{"only", 1s, {}}}, {.timeout = 30s, .drain_delay = 5s}};
    auto begun = plan.begin(stop_mode::graceful, reason, "", t0);
    CHECK(std::any_of(begun.begin(), begun.end(),
                      [](auto& a) { return a.type == plan_action::kind::release; })
          == (reason == stop_reason::startup_failed));
  }
}

TEST_CASE("verdict: an unsettled ledger has a code of its own, worse things are told first") {
  shutdown_plan plan{{{"only", 1s, {}}}, {.timeout = 30s}};
  ledger_counts lost{.received = 2, .stored = 1, .in_queue = 1};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  CHECK(plan.verdict(lost) == exit_code::unaccounted);
  CHECK(plan.verdict(ledger_counts{.received = 2, .stored = 1, .rejected = 1}) == exit_code::clean);
  CHECK(plan.verdict(ledger_counts{.received = 2, .stored = 1}) == exit_code::unaccounted);
  plan.on_down(0, outcome::failure("it broke"), t0);
  CHECK(plan.verdict(lost) == exit_code::child_died);
}

TEST_CASE("verdict: what was acknowledged and is where nobody looks for it is no clean stop") {
  shutdown_plan plan{{{"only", 1s, {}}}, {.timeout = 30s}};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  plan.on_stopped(
    0,
    {.actor = "only",
     .ended = outcome::failure("phi.db has been moved away", outcome::kind::out_of_reach)},
    t0);
  CHECK(plan.verdict(ledger_counts{.received = 1, .stored = 1}) == exit_code::unaccounted);
  shutdown_plan harmless{{{"only", 1s, {}}}, {.timeout = 30s}};
  harmless.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  harmless.on_stopped(0, {.actor = "only", .ended = outcome::failure("the log stays as it is")},
                      t0);
  CHECK(harmless.verdict(ledger_counts{.received = 1, .stored = 1}) == exit_code::clean);
}

TEST_CASE("past the deadline whoever holds what would be lost is not killed while it only waits") {
  for (bool waits : {true, false}) {
    CAPTURE(waits);
    shutdown_plan plan{{{"stats", 10s, {}, true}, {"store", 10s, {0}}},
                       {.timeout = 30s, .force = true, .force_delay = 10s}};
    plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
    plan.on_time(t0 + 10s);
    std::vector<std::string> excuses{waits ? "waits for store for 30.0 s" : "", ""};
    auto forced = plan.on_time(t0 + 30s, excuses);
    bool killed = std::any_of(forced.begin(), forced.end(),
                              [](auto& a) { return a.type == plan_action::kind::kill; });
    CHECK(killed == !waits);
    bool said = std::any_of(forced.begin(), forced.end(), [](auto& a) {
      return a.text.find("; it waits for store for 30.0 s") != std::string::npos;
    });
    CHECK(said == waits);
    CHECK(plan.verdict({}) == exit_code::forced_by_deadline);
    auto row = plan.report({}, t0 + 35s).actors[0];
    CHECK(row.killed == (waits ? std::optional<duration>{} : std::optional<duration>{30s}));
    // When the store has answered after all, stats leaves as it should.
    plan.on_stopped(0, {.actor = "stats"}, t0 + 36s);
    plan.on_down(0, {}, t0 + 36s);
    CHECK(plan.report({}, t0 + 36s).actors[1].released == (waits ? 36s : 30s));
  }
}
