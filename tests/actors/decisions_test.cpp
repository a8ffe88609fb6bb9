// The plain classes that decide: no actors, no clock.

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
  ledger book;
  std::mt19937 random{7};
  uint64_t queued = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto n = random() % 50;
    switch (random() % 3) {
      case 0:
        book.receive(n, random() % 5);
        queued += n;
        break;
      case 1:
        n = std::min<uint64_t>(n, queued);
        book.settle(n - n / 3, n / 3);
        queued -= n;
        break;
      default:
        n = std::min<uint64_t>(n, queued);
        book.refuse(n);
        queued -= n;
    }
    REQUIRE(book.counts().balanced());
    REQUIRE(book.counts().in_queue == queued);
  }
  book.receive(3, 0);
  queued += 3;
  CHECK_FALSE(book.counts().settled());
  book.refuse(queued);
  CHECK(book.counts().settled());
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

TEST_CASE("batch: put back keeps the order and only what nobody waits for") {
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
  CHECK(again.batch->requests[0].to == 1);
  CHECK(again.batch->requests[1].to == 3);
  CHECK(again.batch->requests[2].to == 4);
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

TEST_CASE("stop window: a patient manager, one of unknown patience, and no forced exit") {
  stop_window patient{t0, t0 + 40s, duration{90s}, 1s};
  CHECK(*patient.force_at() == t0 + 40s);
  CHECK_FALSE(patient.progressed(t0 + 10s));
  stop_window unknown{t0, t0 + 40s, std::nullopt, 1s};
  CHECK(*unknown.force_at() == t0 + 40s);
  CHECK(unknown.progressed(t0 + 1s) == duration{10s});
  CHECK(*unknown.force_at() <= t0 + 40s);
  stop_window endless{t0, std::nullopt, duration{5s}, 1s};
  CHECK_FALSE(endless.force_at());
  CHECK(endless.progressed(t0 + 4s) == duration{5s});
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
  CHECK(plain.press(stop_mode::graceful) == stop_mode::graceful);
  CHECK(plain.press(stop_mode::graceful) == stop_mode::fast);
  CHECK(plain.press(stop_mode::graceful) == stop_mode::immediate);
  signal_ladder quit;
  CHECK(quit.press(stop_mode::fast) == stop_mode::fast);
  CHECK(quit.press(stop_mode::graceful) == stop_mode::fast);
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

TEST_CASE("verdict: an unsettled ledger is code 6, worse things are told first") {
  shutdown_plan plan{{{"only", 1s, {}}}, {.timeout = 30s}};
  ledger_counts lost{.received = 2, .stored = 1, .in_queue = 1};
  plan.begin(stop_mode::graceful, stop_reason::terminate, "", t0);
  CHECK(plan.verdict(lost) == exit_code::unaccounted);
  CHECK(plan.verdict(ledger_counts{.received = 2, .stored = 1, .rejected = 1}) == exit_code::clean);
  CHECK(plan.verdict(ledger_counts{.received = 2, .stored = 1}) == exit_code::unaccounted);
  plan.on_down(0, "it broke", t0);
  CHECK(plan.verdict(lost) == exit_code::child_died);
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
