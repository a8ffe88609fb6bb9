// How the spool gets empty while events keep coming, on virtual time: STATS and SPOOL before a
// database that takes so many events a second, one batch after the other.

#include "actors/drain_credit.hpp"
#include "actors/spool.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/spool_fixture.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// What waits for the database, and who wants to know.
struct database_queue {
  struct entry {
    commit_batch_ptr batch;
    commit_listener_actor listener;
  };
  std::deque<entry> waiting;
};

store_actor::behavior_type queueing_store(std::shared_ptr<database_queue> queue) {
  return quiet_child<store_actor>(
    [queue](atom::commit, const commit_batch_ptr& batch, const commit_listener_actor& listener) {
      queue->waiting.push_back({batch, listener});
    });
}

/// Clients that send the next request as soon as they have an answer.
class clients : public reply_sink {
public:
  void deliver(std::vector<ingest_answer> answers) noexcept override {
    for (const auto& [to, outcome] : answers) {
      auto& answered = outcome.error != error_code::none ? refused
                       : outcome.spooled                 ? spooled
                                                         : stored;
      ++answered;
      ready.push_back(to);
    }
  }
  void deliver(ticket, query_answer) noexcept override {}

  std::vector<ticket> ready; ///< those that wait for nothing
  uint64_t stored = 0, spooled = 0, refused = 0;
};

struct draining_fixture {
  static constexpr auto step = 10ms;

  draining_fixture(virtual_system& on, size_t count, size_t request_events)
    : on(on),
      request_events(request_events) {
    store = on.keep(on.system.spawn(queueing_store, database));
    spool = on.keep(on.system.spawn(
      spool_behavior, child_identity{"spool", {}, std::make_shared<activity>()}, disk, store));
    stats_settings with{
      .queue = {.max_events = 200'000, .max_bytes = 1U << 30, .batch_events = 10'000},
      .flush_interval = 200ms,
      .commit_overdue = 8s,
      .spool_after = 1s,
      .commit_retry = 250ms,
      .commit_retry_max = 2s};
    auto who = child_identity{"stats", {}, std::make_shared<activity>()};
    ledgers = {who.activity, &who.activity->ledgers};
    stats = on.keep(on.system.spawn(stats_behavior, who, store, spool, with));
    tell_from_outside(spool, atom::attach_v, spool_listener_actor{stats});
    for (size_t i = 0; i < count; ++i)
      senders->ready.push_back(i);
    on.run();
  }

  /// One step of time. Clients that wait for nothing send five times in two seconds: with 20 000
  /// events among them that is as much as a real spool takes.
  void go_on() {
    auto turn = std::make_shared<ingest_turn>(senders);
    for (auto to : ++steps % 40 == 0 ? std::exchange(senders->ready, {}) : std::vector<ticket>{})
      turn->requests.push_back({.to = to, .events = std::vector<event>(request_events)});
    if (!turn->requests.empty())
      tell_from_outside(stats, atom::ingest_v, std::move(turn));
    on.advance(step, step);
    work();
  }
  void go_on_for(duration time) {
    for (auto end = on.now() + time; on.now() < end;)
      go_on();
  }

  ledger_counts ledger() const { return *ledgers->read(); }

  int64_t per_second = 10'000; ///< 0: the database is away and says so
  bool silent = false;         ///< it says nothing

  virtual_system& on;
  size_t request_events;
  std::shared_ptr<clients> senders = std::make_shared<clients>();
  std::shared_ptr<fake_disk> disk = std::make_shared<fake_disk>();
  std::shared_ptr<database_queue> database = std::make_shared<database_queue>();
  std::shared_ptr<ledger_board> ledgers;
  store_actor store;
  spool_actor spool;
  stats_actor stats;

private:
  /// The database works at the first that waits.
  void work() {
    if (silent)
      return;
    left += step;
    while (!database->waiting.empty()) {
      auto [batch, listener] = database->waiting.front();
      auto events = static_cast<int64_t>(batch->events);
      auto takes = per_second == 0 ? duration{1ms} : duration{1s} * events / per_second;
      if (left < takes)
        return;
      left -= takes;
      commit_result result{.number = batch->number, .took = takes};
      if (per_second == 0 || !batch->begin_commit())
        result.error = error_code::store_unavailable;
      for (const auto& request : batch->requests)
        result.requests.push_back({static_cast<uint32_t>(request.events.size()), 0});
      database->waiting.pop_front();
      tell_from_outside(listener, atom::committed_v, std::move(result));
      on.run();
    }
    left = {};
  }

  duration left{};
  uint64_t steps = 0;
};

/// An outage that leaves some 20 seconds of work in the spool.
void fill_spool(draining_fixture& h) {
  h.per_second = 0;
  while (h.ledger().spooled < 200'000)
    h.go_on();
  h.per_second = 10'000;
  auto before = h.ledger().stored;
  for (int i = 0; i < 3000 && h.ledger().stored == before; ++i) // until a try finds the database
    h.go_on();
}

} // namespace

TEST_CASE("the spool gets empty while more events come than the database takes") {
  for (size_t request_events : {200, 2000, 20'000}) { // the last are late each time
    CAPTURE(request_events);
    virtual_system on;
    draining_fixture h{on, 20'000 / request_events, request_events};
    fill_spool(h);
    auto most = h.ledger().spooled;
    auto stored_before = h.senders->stored;
    auto end = on.now() + 180s;
    auto empty = request_events < 10'000 ? 0 : 2 * request_events; // there is always one on its way
    while (h.ledger().spooled > empty && on.now() < end && h.ledger().spooled < 3 * most) {
      h.go_on();
      REQUIRE(h.ledger().balanced());
    }
    CHECK(h.ledger().spooled <= empty);
    CHECK(h.senders->refused == 0);
    if (request_events < 10'000) // live events are stored meanwhile, not only spooled
      CHECK(h.senders->stored > stored_before);
    for (int i = 0; i < 20; ++i) { // and it stays so: those that are late do not add up
      h.go_on_for(1s);
      CHECK(h.ledger().spooled <= 3 * 20'000);
    }
  }
}

TEST_CASE("a database that goes away while the spool is emptied: senders are held up for a few "
          "spool.after_ms, then everything goes to the spool") {
  for (bool silent : {true, false}) {
    CAPTURE(silent);
    virtual_system on;
    draining_fixture h{on, 100, 200};
    fill_spool(h);
    h.go_on_for(1s);
    h.silent = silent;
    h.per_second = silent ? h.per_second : 0;
    h.go_on_for(5s);
    auto before = h.senders->spooled;
    h.go_on_for(500ms);
    CHECK(h.senders->spooled >= before + 100);
    CHECK(h.senders->refused == 0);
    CHECK(h.ledger().balanced());
  }
}

TEST_CASE("while the spool is emptied slowly no request waits for ever") {
  virtual_system on;
  draining_fixture h{on, 10, 20'000};
  fill_spool(h);
  h.per_second = 1000; // 20 s for one of them, which gives credit for half of one
  h.go_on_for(45s);
  auto answered = [&] { return h.senders->spooled + h.senders->stored; };
  auto before = answered();
  h.go_on_for(31s);
  CHECK(answered() == before + 30); // ten senders, ten times spool.after_ms each
  CHECK(h.senders->refused == 0);
}

TEST_CASE("a stop while the spool is emptied waits for no credit") {
  virtual_system on;
  draining_fixture h{on, 100, 200};
  fill_spool(h);
  h.go_on_for(1s);
  h.silent = true; // nothing more leaves the spool
  int held = 0;    // when the tries fall differs with each run
  for (int i = 0; i < 1000 && held < 50; ++i) {
    h.go_on();
    held = h.ledger().in_queue > 0 ? held + 1 : 0;
  }
  REQUIRE(held == 50);
  tell_urgent_from_outside(h.stats, atom::stop_v, stop_order{});
  tell_urgent_from_outside(h.stats, atom::release_v, release_order{});
  on.run();
  on.advance(1500ms); // spool.after_ms, and all is on disk
  CHECK(h.ledger().in_queue == 0);
}

TEST_CASE(
  "credit for live events: half of what has left the spool, for as long as something does") {
  drain_credit credit;
  const time_point start{100s};
  CHECK_FALSE(credit.holds(start));
  credit.spooled(1000, start); // in an outage: as many as come
  credit.replayed(2001, 100ms, 3s, start);
  CHECK(credit.until() == start + 3200ms);
  CHECK(credit.holds(start + 3199ms));
  CHECK_FALSE(credit.holds(start + 3200ms));
  CHECK(credit.left(10'000) == 1000);
  credit.spooled(600, start);
  CHECK(credit.left(10'000) == 400);
  credit.spooled(1000, start); // a batch that was late: it is paid back first
  CHECK(credit.left(10'000) == 0);
  credit.replayed(2000, 100ms, 3s, start + 1s);
  CHECK(credit.left(10'000) == 400);
  credit.replayed(200'000, 100ms, 3s, start + 2s);
  CHECK(credit.left(10'000) == 10'000);
  credit.replayed(20, 100ms, 3s, start + 2s);
  CHECK(credit.left(10'000) == 10'000);        // more is not kept
  credit.replayed(21, 100ms, 3s, start + 60s); // after another outage
  CHECK(credit.left(10'000) == 10);
  credit.replayed(1, 100ms, 3s, start + 61s); // halves are not lost
  CHECK(credit.left(10'000) == 11);
  credit.refill(500); // the spool is empty
  CHECK(credit.left(10'000) == 500);
  CHECK(credit.holds(start + 61s));
  credit.over();
  CHECK_FALSE(credit.holds(start + 60s));
}
