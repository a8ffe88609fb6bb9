// The plain classes that decide: no actors, no clock.

#include "actors/activity.hpp"
#include "actors/batch.hpp"
#include "actors/exit_report.hpp"
#include "actors/health_quorum.hpp"
#include "actors/ledger.hpp"
#include "actors/rate_meter.hpp"
#include "actors/restart_policy.hpp"
#include "actors/shutdown_plan.hpp"
#include "actors/signal_ladder.hpp"
#include "actors/status_line.hpp"
#include "actors/stop_window.hpp"
#include "tests/support/doctest.hpp"

#include <random>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};
constexpr time_point begin = t0 + 1h; ///< of a stop; t0 itself means none

class deaf_sink : public reply_sink {
public:
  void deliver(std::vector<ingest_answer>) noexcept override {}
  void deliver(ticket, query_answer) noexcept override {}
};

const auto sink = std::make_shared<deaf_sink>();

ingest_request request(size_t events, ticket to = 0) {
  ingest_request out{.to = to, .events = std::vector<event>(events)};
  out.bytes = events * 100;
  return out;
}

} // namespace

TEST_CASE("ledger: the identity holds after every step") {
  phi::ledger ledger;
  std::mt19937 random{7};
  uint64_t queued = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto n = random() % 50;
    switch (random() % 3) {
      case 0:
        ledger.receive(n, random() % 5);
        queued += n;
        break;
      case 1:
        n = std::min<uint64_t>(n, queued);
        ledger.settle(n - n / 3, n / 3);
        queued -= n;
        break;
      default:
        n = std::min<uint64_t>(n, queued);
        ledger.refuse(n);
        queued -= n;
    }
    REQUIRE(ledger.counts().balanced());
    REQUIRE(ledger.counts().in_queue == queued);
  }
  ledger.receive(3, 0);
  queued += 3;
  CHECK_FALSE(ledger.counts().settled());
  ledger.refuse(queued);
  CHECK(ledger.counts().settled());
}

TEST_CASE("batch: bounds count what waits and what is under way") {
  batch_queue queue{{.max_events = 10, .max_bytes = 10'000, .batch_events = 4}};
  CHECK(queue.has_room(10, 1000));
  CHECK_FALSE(queue.has_room(11, 1000));
  CHECK_FALSE(queue.has_room(1, 10'001));
  queue.push(request(3), sink, t0);
  queue.push(request(3), sink, t0 + 1s);
  CHECK(queue.oldest() == t0);
  auto cut = queue.cut();
  CHECK(cut.batch->events == 3); // two together would be more than a batch
  CHECK(queue.waiting_events() == 3);
  CHECK(queue.events() == 6);
  CHECK_FALSE(queue.has_room(5, 100));
  queue.done(*cut.batch);
  CHECK(queue.events() == 3);
  CHECK(queue.oldest() == t0 + 1s);
}

TEST_CASE("batch: a request larger than a batch is one batch; small ones are joined in order") {
  batch_queue queue{{.max_events = 100, .max_bytes = 1 << 20, .batch_events = 4}};
  queue.push(request(9, 1), sink, t0);
  for (ticket i = 2; i < 8; ++i)
    queue.push(request(1, i), sink, t0);
  CHECK(queue.cut().batch->requests.size() == 1);
  auto second = queue.cut();
  REQUIRE(second.batch->requests.size() == 4);
  CHECK(second.batch->requests[0].to == 2);
  CHECK(second.batch->requests[3].to == 5);
}

TEST_CASE("batch: put back goes behind the others, in order, and only what nobody waits for") {
  batch_queue queue{{.max_events = 100, .max_bytes = 1 << 20, .batch_events = 3}};
  queue.push(request(1, 1), nullptr, t0);
  queue.push(request(1, 2), sink, t0);
  queue.push(request(1, 3), nullptr, t0);
  queue.push(request(1, 4), nullptr, t0);
  auto cut = queue.cut();
  CHECK(cut.fates[1] == cut_batch::fate::awaited);
  queue.put_back(std::move(cut), t0);
  CHECK(queue.events() == 3);
  auto again = queue.cut();
  REQUIRE(again.batch->requests.size() == 3);
  CHECK(again.batch->requests[0].to == 4);
  CHECK(again.batch->requests[1].to == 1);
  CHECK(again.batch->requests[2].to == 3);
}

TEST_CASE("batch: those who wait can be taken out, the others stay") {
  batch_queue queue{{.max_events = 100, .max_bytes = 1 << 20, .batch_events = 100}};
  for (ticket i = 0; i < 6; ++i)
    queue.push(request(1, i), i % 2 ? sink : nullptr, t0);
  CHECK(queue.someone_waits());
  CHECK(queue.take_awaited().size() == 3);
  CHECK_FALSE(queue.someone_waits());
  CHECK(queue.events() == 3);
  CHECK(queue.bytes() == 300);
}

TEST_CASE("a batch is committed or abandoned, never both") {
  commit_batch first;
  CHECK(first.begin_commit());
  CHECK_FALSE(first.abandon());
  commit_batch second;
  CHECK(second.abandon());
  CHECK(second.abandon());
  CHECK_FALSE(second.begin_commit());
  second.reopen();
  CHECK(second.begin_commit());
}

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

TEST_CASE("restart: waits double, the limit counts within the window") {
  restart_policy policy{{.limit = 3, .window = 60s, .first_wait = 100ms, .longest_wait = 300ms}};
  CHECK(policy.on_death(t0) == duration{100ms});
  CHECK(policy.on_death(t0 + 1s) == duration{200ms});
  CHECK(policy.on_death(t0 + 2s) == duration{300ms});
  CHECK_FALSE(policy.on_death(t0 + 3s));
  CHECK(policy.on_death(t0 + 62s).has_value());
}

TEST_CASE("quorum: late is who has not answered and not moved; stuck is who is so for the limit") {
  health_quorum quorum{2s, 10s};
  quorum.watch("a", t0);
  quorum.watch("b", t0);
  CHECK(quorum.late(t0 + 100s).empty()); // nobody was asked
  CHECK(quorum.complete());
  quorum.pinged("a");
  quorum.pinged("b");
  CHECK(quorum.late(t0 + 1s).empty()); // there is patience
  quorum.answered("a", 1, t0 + 1s);
  CHECK_FALSE(quorum.complete());
  auto late = quorum.late(t0 + 5s);
  REQUIRE(late.size() == 1);
  CHECK(late[0].name == "b");
  CHECK_FALSE(late[0].stuck);
  quorum.seen("b", 7, 0s, t0 + 8s); // it works, although it does not answer
  CHECK_FALSE(quorum.late(t0 + 17s)[0].stuck);
  quorum.seen("b", 7, 0s, t0 + 18s); // the same progress is none
  CHECK(quorum.late(t0 + 18s)[0].stuck);
  quorum.forget("b");
  CHECK(quorum.late(t0 + 18s).empty());
}

TEST_CASE("quorum: time without a processor, and time in which all stood still, is no silence") {
  health_quorum quorum{2s, 10s};
  quorum.watch("a", t0);
  quorum.pinged("a");
  quorum.seen("a", 0, 9s, t0 + 11s);
  REQUIRE(quorum.late(t0 + 11s).size() == 1);
  CHECK(quorum.late(t0 + 11s)[0].silent == duration{2s});
  CHECK(quorum.late(t0 + 11s)[0].starved == duration{9s});
  CHECK_FALSE(quorum.late(t0 + 11s)[0].stuck);
  quorum.stood_still(1s);
  CHECK(quorum.late(t0 + 11s).empty());
  quorum.seen("a", 0, 9s, t0 + 20s);
  CHECK(quorum.late(t0 + 20s)[0].stuck);
  quorum.seen("a", 0, 3s, t0 + 20s); // another thread: its figures begin anew
  CHECK(quorum.late(t0 + 20s)[0].starved == duration{0s});
}

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

TEST_CASE("flaw 3: with the default shares every rung of the ladder can be reached") {
  // Budgets end before the deadline, the deadline before the forced exit.
  shutdown_plan plan{{{"http", 12s, {}}, {"stats", 7500ms, {0}}},
                     {.timeout = 30s, .force = true, .force_delay = 10s}};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  CHECK(*plan.next_wakeup() == t0 + 12s);
  auto hurried = plan.on_time(t0 + 12s);
  CHECK(std::any_of(hurried.begin(), hurried.end(),
                    [](auto& a) { return a.what == plan_action::kind::release; }));
  CHECK(*plan.next_wakeup() == t0 + 30s);
  auto forced = plan.on_time(t0 + 30s);
  CHECK(std::any_of(forced.begin(), forced.end(),
                    [](auto& a) { return a.what == plan_action::kind::kill; }));
  CHECK(plan.verdict({}) == exit_code::forced_by_deadline);
}

TEST_CASE("verdict: an unsettled ledger has a code of its own, worse things are told first") {
  shutdown_plan plan{{{"only", 1s, {}}}, {.timeout = 30s}};
  ledger_counts lost{.received = 2, .stored = 1, .in_queue = 1};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  CHECK(plan.verdict(lost) == exit_code::unaccounted);
  CHECK(plan.verdict(ledger_counts{.received = 2, .stored = 1, .rejected = 1}) == exit_code::clean);
  CHECK(plan.verdict(ledger_counts{.received = 2, .stored = 1}) == exit_code::unaccounted);
  plan.on_down(0, "it broke", t0);
  CHECK(plan.verdict(lost) == exit_code::child_died);
}

TEST_CASE("verdict: what was acknowledged and is where nobody looks for it is no clean stop") {
  shutdown_plan plan{{{"only", 1s, {}}}, {.timeout = 30s}};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  plan.on_stopped(
    0, {.actor = "only", .trouble = "phi.db has been moved away", .out_of_reach = true}, t0);
  CHECK(plan.verdict(ledger_counts{.received = 1, .stored = 1}) == exit_code::unaccounted);
  shutdown_plan harmless{{{"only", 1s, {}}}, {.timeout = 30s}};
  harmless.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  harmless.on_stopped(0, {.actor = "only", .trouble = "the log stays as it is"}, t0);
  CHECK(harmless.verdict(ledger_counts{.received = 1, .stored = 1}) == exit_code::clean);
}

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
                              [](auto& a) { return a.what == plan_action::kind::kill; });
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
    plan.on_down(0, "", t0 + 36s);
    CHECK(plan.report({}, t0 + 36s).actors[1].released == (waits ? 36s : 30s));
  }
}

TEST_CASE("blame of a stop under way follows who waits for whom to the last link") {
  exit_report report{.began = begin};
  auto add = [&](std::string name, std::string state, std::optional<duration> released) {
    exit_row row{.actor = std::move(name), .state = std::move(state), .released = released};
    auto seen_at = std::make_shared<activity>();
    row.seen_at = seen_at;
    report.actors.push_back(row);
    return seen_at;
  };
  auto http = add("http", "gone", 0s);
  auto stats = add("stats", "late", 1s);
  auto store = add("store", "waiting", std::nullopt);
  auto reader = add("reader", "waiting", std::nullopt);
  add("admin", "gone", std::nullopt); // it was never started
  stats->waits_for("store", clock::now() - 5s);
  store->begin("COMMIT");
  stats->ledgers.write({.received = 7, .in_queue = 7});
  look_again(report, begin + 31s);
  CHECK(report.took == 31s);
  REQUIRE(report.ledger);
  CHECK(report.ledger->in_queue == 7);
  CHECK(blame_chain(report).starts_with("stats waits for store for 5.0 s; store in COMMIT for "));
  CHECK(blame_chain(report).find("reader") == std::string::npos);
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "store");
  CHECK(held_by(report)->what.starts_with("COMMIT for "));
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
  exit_row http{.actor = "http", .state = "released", .released = 0s};
  http.seen_at = seen_at;
  report.actors.push_back(http);
  seen_at->learn_waits_from([] {
    return std::vector<waited>{{"client 127.0.0.1:4711, which has not read its answer", 9s}};
  });
  look_again(report, begin + 10s);
  CHECK(blame_chain(report)
        == "http waits for client 127.0.0.1:4711, which has not read its answer for 9.0 s");
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "client 127.0.0.1:4711, which has not read its answer");
  CHECK(held_by(report)->held == 9s);
  seen_at->learn_waits_from({});
  look_again(report, begin + 10s);
  CHECK(blame_chain(report) == "http did not report for 10.0 s");
}

TEST_CASE("blame of a stop that is over: the longest chain, and who died of what") {
  exit_report report;
  auto row = [&](std::string name, std::vector<waited> waits) {
    exit_row out{.actor = name, .state = "gone", .released = 0s, .gone = 2s};
    out.report = stopped_report{.actor = std::move(name), .waits = std::move(waits)};
    report.actors.push_back(out);
  };
  row("http", {{"stats", 1900ms}, {"reader", 20ms}});
  row("stats", {{"store", 1800ms}});
  row("store", {{"COMMIT", 1700ms}, {"the database to close", 3ms}});
  REQUIRE(held_by(report));
  CHECK(held_by(report)->who == "store");
  CHECK(held_by(report)->what == "COMMIT");
  CHECK(held_by(report)->held == 1700ms);
  report.actors[0].report->waits[0] = {"client 127.0.0.1:4711, which has not read its answer", 9s};
  CHECK(held_by(report)->who == "client 127.0.0.1:4711, which has not read its answer");
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
