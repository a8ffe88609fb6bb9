// STATS and WATCHDOG on virtual time, with a store that does what the test says.

#include "actors/stats.hpp"
#include "actors/watchdog.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

#include <caf/scoped_actor.hpp>

#include <map>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Writes down what it is told; complains by a second answer to the same request.
class recorded_replies : public reply_sink {
public:
  void deliver(std::vector<ingest_answer> answers) noexcept override {
    for (const auto& [to, outcome] : answers) {
      twice |= outcomes.contains(to);
      outcomes[to] = outcome;
    }
  }
  void deliver(ticket, query_answer answer) noexcept override { last_answer = answer.body; }

  std::map<ticket, ingest_outcome> outcomes;
  std::string last_answer;
  bool twice = false;
};

struct fake_store_state {
  child_identity who;
  std::vector<commit_batch_ptr> batches;
};

using fake_store_ptr = store_actor::stateful_pointer<fake_store_state>;
using batches_ptr = std::shared_ptr<std::vector<commit_batch_ptr>>;

store_actor::behavior_type fake_store(fake_store_ptr, batches_ptr batches) {
  return {
    [](atom::stop, const stop_order&) {},
    [](atom::release, const release_order&) {},
    [](atom::ping) { return pong{}; },
    [](atom::status) { return actor_status{}; },
    [](atom::adopt, const config_ptr&) { return pong{}; },
    [batches](atom::commit, const commit_batch_ptr& batch, const commit_listener_actor&) {
      batches->push_back(batch);
    },
  };
}

struct house {
  explicit house(virtual_system& on, stats_settings with = defaults_for_tests()) : on(on) {
    store = on.keep(on.system.spawn(fake_store, batches));
    auto who = child_identity{"stats", {}, std::make_shared<activity>()};
    stats = on.keep(on.system.spawn(stats_behavior, who, store, with));
    on.run();
  }

  static stats_settings defaults_for_tests() {
    return {.queue = {.max_events = 100, .max_bytes = 1 << 20, .batch_events = 10},
            .flush_interval = 200ms,
            .commit_overdue = 8s,
            .commit_retry = 250ms};
  }

  void send(ticket to, size_t events = 1, bool awaited = true) {
    auto turn = std::make_shared<ingest_turn>(replies);
    turn->requests.push_back({.to = to, .awaited = awaited, .events = std::vector<event>(events)});
    tell_from_outside(stats, atom::ingest_v, std::move(turn));
    on.run();
  }

  void answer(error_code error = error_code::none) {
    auto batch = batches->back();
    commit_result result{
      .number = batch->number, .error = error, .detail = "disk full", .took = 1ms};
    for (const auto& request : batch->requests)
      result.requests.push_back({static_cast<uint32_t>(request.events.size()), 0});
    tell_from_outside(stats, atom::committed_v, result);
    on.run();
  }

  void stop(stop_mode mode) {
    tell_urgent_from_outside(stats, atom::stop_v, stop_order{.mode = mode});
    on.run();
  }

  void release(stop_mode mode) {
    tell_urgent_from_outside(stats, atom::release_v, release_order{.mode = mode});
    on.run();
  }

  ledger_counts ledger() {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(stats, 1s, atom::status_v);
    on.run();
    ledger_counts out;
    pending.receive([&](const actor_status& status) { out = *status.ledger; },
                    [](const caf::error&) { FAIL("no answer"); });
    return out;
  }

  virtual_system& on;
  batches_ptr batches = std::make_shared<std::vector<commit_batch_ptr>>();
  std::shared_ptr<recorded_replies> replies = std::make_shared<recorded_replies>();
  store_actor store;
  stats_actor stats;
};

} // namespace

TEST_CASE(
  "stats: a request that somebody waits for is committed at once, and answered when it is") {
  virtual_system on;
  house h{on};
  h.send(1);
  REQUIRE(h.batches->size() == 1);
  CHECK(h.replies->outcomes.empty());
  CHECK(h.ledger().in_queue == 1);
  h.answer();
  CHECK(h.replies->outcomes.at(1).stored == 1);
  CHECK(h.ledger().stored == 1);
  CHECK(h.ledger().balanced());
}

TEST_CASE("stats: the next batch fills while one is committed") {
  virtual_system on;
  house h{on};
  h.send(1);
  for (ticket i = 2; i <= 6; ++i)
    h.send(i);
  CHECK(h.batches->size() == 1);
  h.answer();
  REQUIRE(h.batches->size() == 2);
  CHECK(h.batches->at(1)->requests.size() == 5);
}

TEST_CASE("flaw 11: what nobody waits for is flushed within the interval, whatever trickles in") {
  virtual_system on;
  auto with = house::defaults_for_tests();
  with.queue.batch_events = 100;
  house h{on, with};
  for (int i = 0; i < 19; ++i) {
    h.send(0, 1, false);
    on.advance(10ms);
  }
  CHECK(h.batches->empty());
  h.send(0, 1, false);
  on.advance(20ms);
  CHECK(h.batches->size() == 1);
}

TEST_CASE(
  "stats: over the bound a request is refused at once, with Retry-After; a smaller one may fit") {
  virtual_system on;
  house h{on};
  h.send(1, 60);
  h.send(2, 60);
  CHECK(h.replies->outcomes.at(2).error == error_code::overloaded);
  CHECK(h.replies->outcomes.at(2).retry_after_s >= 1);
  h.send(3, 40);
  CHECK_FALSE(h.replies->outcomes.contains(3));
  CHECK(h.ledger().rejected == 60);
  CHECK(h.ledger().balanced());
}

TEST_CASE("stats: a store that refuses: those who wait learn it, the rest is tried again") {
  virtual_system on;
  house h{on};
  h.send(0, 2, false);
  h.send(1);
  REQUIRE(h.batches->size() == 1);
  h.answer(error_code::store_unavailable);
  CHECK(h.replies->outcomes.at(1).error == error_code::store_unavailable);
  CHECK(h.ledger().in_queue == 2);
  CHECK(h.batches->size() == 1);
  on.advance(260ms);
  REQUIRE(h.batches->size() == 2);
  h.answer();
  CHECK(h.ledger().stored == 2);
  CHECK(h.ledger().settled());
}

TEST_CASE("stats: a silent store loses the batch when it has not begun to commit") {
  virtual_system on;
  house h{on};
  h.send(1);
  on.advance(8010ms);
  CHECK(h.replies->outcomes.at(1).error == error_code::store_unavailable);
  CHECK_FALSE(h.batches->at(0)->begin_commit()); // it comes too late
  h.answer(error_code::store_unavailable);
  CHECK(h.ledger().settled());
  CHECK_FALSE(h.replies->twice);
}

TEST_CASE(
  "stats: a store silent in its COMMIT: outcome unknown, and the ledger learns the truth later") {
  virtual_system on;
  house h{on};
  h.send(1);
  REQUIRE(h.batches->at(0)->begin_commit());
  on.advance(8010ms);
  CHECK(h.replies->outcomes.at(1).error == error_code::outcome_unknown);
  CHECK(h.ledger().in_queue == 1);
  h.answer();
  CHECK(h.ledger().stored == 1);
  CHECK_FALSE(h.replies->twice);
}

TEST_CASE("stats: a restarted store gets the batch again; a store gone for good ends the wait") {
  virtual_system on;
  house h{on};
  h.send(1);
  tell_from_outside(h.stats, atom::use_v, h.store);
  on.run();
  REQUIRE(h.batches->size() == 2);
  CHECK(h.batches->at(0) == h.batches->at(1));
  REQUIRE(h.batches->at(1)->begin_commit());
  tell_from_outside(h.stats, atom::use_v, store_actor{});
  on.run();
  CHECK(h.replies->outcomes.at(1).error == error_code::outcome_unknown);
}

TEST_CASE("stats: a fast stop refuses those who wait, and keeps what was taken") {
  virtual_system on;
  house h{on};
  h.send(1);
  h.send(2);
  h.send(0, 3, false);
  h.stop(stop_mode::fast);
  CHECK(h.replies->outcomes.at(1).error == error_code::stopping);
  CHECK(h.replies->outcomes.at(2).error == error_code::stopping);
  CHECK_FALSE(h.batches->at(0)->begin_commit());
  h.answer(error_code::store_unavailable);
  h.release(stop_mode::fast);
  on.run();
  REQUIRE(h.batches->size() == 2);
  CHECK(h.batches->at(1)->events == 3);
  CHECK_FALSE(h.replies->twice);
}

TEST_CASE("stats: release overtakes what http handed on before, and waits for it all the same") {
  virtual_system on;
  house h{on};
  auto turn = std::make_shared<ingest_turn>(h.replies);
  turn->requests.push_back({.to = 1, .events = std::vector<event>(1)});
  tell_from_outside(h.stats, atom::ingest_v, std::move(turn));
  tell_urgent_from_outside(h.stats, atom::release_v, release_order{});
  on.run();
  REQUIRE(h.batches->size() == 1);
  h.answer();
  CHECK(h.replies->outcomes.at(1).stored == 1);
}

TEST_CASE("stats: durability queued answers before the commit") {
  virtual_system on;
  auto with = house::defaults_for_tests();
  with.answer_after = durability::queued;
  house h{on, with};
  h.send(1, 2);
  CHECK(h.replies->outcomes.at(1).stored == 2);
  CHECK(h.replies->outcomes.at(1).queued);
  CHECK(h.batches->empty());
  on.advance(210ms);
  CHECK(h.batches->size() == 1);
}

TEST_CASE("stats: requests that never reach it are answered by their destructor, once") {
  auto replies = std::make_shared<recorded_replies>();
  {
    ingest_turn turn{replies};
    turn.requests.push_back({.to = 5, .events = std::vector<event>(1)});
    turn.requests.push_back({.to = 0, .awaited = false});
  }
  CHECK(replies->outcomes.size() == 1);
  CHECK(replies->outcomes.at(5).error == error_code::stopping);
}
