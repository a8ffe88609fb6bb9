#include "actors/activity.hpp"
#include "actors/exit_report.hpp"
#include "actors/shutdown_plan.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};
constexpr time_point begin = t0 + 1h; ///< of a stop; t0 itself means none

} // namespace

TEST_CASE("the blame chain names who waited for whom, and leaves out what nobody noticed") {
  exit_report report;
  auto row = [](std::string name, std::string whom, duration how_long) {
    exit_row out{.actor = name, .released = duration{0}, .gone = duration{2s}};
    out.report = stopped_report{.actor = name, .waits = {{whom, how_long}}};
    return out;
  };
  report.actors = {row("http", "stats", 1900ms), row("stats", "store", 1800ms),
                   row("reader", "nothing", 1ms)};
  CHECK(blame_chain(report) == "http waited 1.9 s for stats; stats waited 1.8 s for store");
}

TEST_CASE("blame of a stop under way follows who waits for whom to the last link") {
  exit_report report{.began = begin};
  auto add = [&](std::string name, exit_state state, std::optional<duration> released) {
    exit_row row{.actor = std::move(name), .state = state, .released = released};
    auto seen_at = std::make_shared<activity>();
    row.seen_at = seen_at;
    report.actors.push_back(row);
    return seen_at;
  };
  auto http = add("http", exit_state::gone, 0s);
  auto stats = add("stats", exit_state::late, 1s);
  auto store = add("store", exit_state::waiting, std::nullopt);
  auto reader = add("reader", exit_state::waiting, std::nullopt);
  add("admin", exit_state::gone, std::nullopt); // it was never started
  stats->waits_for("store", clock::now() - 5s);
  store->begin(describe(work_code::commit), work_code::commit);
  stats->ledgers.write({.received = 7, .in_queue = 7});
  refresh_report(report, begin + 31s);
  CHECK(report.took == 31s);
  REQUIRE(report.ledger);
  CHECK(report.ledger->in_queue == 7);
  CHECK(blame_chain(report).starts_with("stats waits for store for 5.0 s; store in COMMIT for "));
  CHECK(blame_chain(report).find("reader") == std::string::npos);
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "store");
  CHECK(held_by(report)->kind == wait_kind::actor);
  CHECK(held_by(report)->deed.starts_with("COMMIT for "));
  CHECK(held_by(report)->work == work_code::commit);
  CHECK(held_by(report)->held >= 5s); // it was not released: as long as stats has waited for it
  auto left = survivors(report);
  CHECK(
    left.starts_with("stats (late at 1.0 s, waits for store for 5.0 s), store (waiting, in COM"));
  CHECK(left.find("admin") == std::string::npos);
  CHECK(left.find("http") == std::string::npos);
}

TEST_CASE("blame of a stop under way names the client that holds it, and what it owes") {
  exit_report report{.began = begin};
  auto seen_at = std::make_shared<activity>();
  exit_row http{.actor = "http", .state = exit_state::released, .released = 0s};
  http.seen_at = seen_at;
  report.actors.push_back(http);
  seen_at->learn_waits_from([] {
    return std::vector<waited>{
      {"client 127.0.0.1:4711, which has not read its answer", 9s, wait_kind::client}};
  });
  refresh_report(report, begin + 10s);
  CHECK(blame_chain(report)
        == "http waits for client 127.0.0.1:4711, which has not read its answer for 9.0 s");
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "client 127.0.0.1:4711, which has not read its answer");
  CHECK(held_by(report)->kind == wait_kind::client);
  CHECK(held_by(report)->held == 9s);
  seen_at->learn_waits_from({});
  refresh_report(report, begin + 10s);
  CHECK(blame_chain(report) == "http did not report for 10.0 s");
}

TEST_CASE("blame of a stop that is over: the longest chain, and who died of what") {
  exit_report report;
  auto row = [&](std::string name, std::vector<waited> waits) {
    exit_row out{.actor = name, .state = exit_state::gone, .released = 0s, .gone = 2s};
    out.report = stopped_report{.actor = std::move(name), .waits = std::move(waits)};
    report.actors.push_back(out);
  };
  row("http", {{"stats", 1900ms}, {"reader", 20ms}});
  row("stats", {{"store", 1800ms}});
  row("store", {waited_for(work_code::commit, 1700ms), waited_for(work_code::close_database, 3ms)});
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "store");
  CHECK(held_by(report)->deed == "COMMIT");
  CHECK(held_by(report)->work == work_code::commit);
  CHECK(held_by(report)->held == 1700ms);
  // Whatever a client is called.
  report.actors[0].report->waits[0] = {"127.0.0.1:4711, which has not read its answer", 9s,
                                       wait_kind::client};
  CHECK(held_by(report)->who == "127.0.0.1:4711, which has not read its answer");
  CHECK(held_by(report)->kind == wait_kind::client);
  CHECK(held_by(report)->held == 9s);
  report.actors[0].report->waits[0] = {"stats", 1900ms};
  report.actors[1].report.reset();
  report.actors[1].trouble = "exception: it broke";
  CHECK(blame_chain(report).find("stats: exception: it broke") != std::string::npos);
  CHECK(blame_chain(report).find("did not report") == std::string::npos);
  CHECK(held_by(report)->who == "stats");
  exit_report quick;
  CHECK_FALSE(held_by(quick));
}

TEST_CASE("blame of a stop that is over, where nobody has reported a wait: who took longest to "
          "leave") {
  exit_report report;
  auto row = [&](std::string name, duration released, duration gone) {
    exit_row out{
      .actor = name, .state = exit_state::gone, .released = released, .gone = released + gone};
    out.report = stopped_report{.actor = std::move(name)};
    report.actors.push_back(out);
  };
  row("http", 0s, 9ms);
  row("store", 9ms, 5ms);
  report.actors.push_back({.actor = "spool", .state = exit_state::gone}); // never started
  CHECK_FALSE(held_by(report));
  row("membership", 14ms, 510ms);
  row("admin", 524ms, 20ms);
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "membership");
  CHECK(held_by(report)->deed == "leaving");
  CHECK(held_by(report)->held == 510ms);
  CHECK(held_by(report)->kind == wait_kind::actor);
  CHECK(held_by(report)->work == work_code::none);
  report.actors[1].report->waits = {waited_for(work_code::commit, 9ms)}; // not noticeable
  CHECK(held_by(report)->who == "membership");
  report.actors[1].report->waits[0].for_how_long = 11ms;
  CHECK(held_by(report)->who == "store");
}
