// STATS and WATCHDOG on virtual time, with a store that does what the test says.

#include "actors/watchdog.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/stats_fixture.hpp"
#include "tests/support/virtual_time.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

using graph = stats_fixture;

TEST_CASE(
  "stats: a request that somebody waits for is committed at once, and answered when it is") {
  virtual_system on;
  graph h{on};
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
  graph h{on};
  h.send(1);
  for (ticket i = 2; i <= 6; ++i)
    h.send(i);
  CHECK(h.batches->size() == 1);
  h.answer();
  REQUIRE(h.batches->size() == 2);
  CHECK(h.batches->at(1)->requests.size() == 5);
}

TEST_CASE("stats: what the store refuses of a batch is refused to its sender, and to nobody else") {
  virtual_system on;
  graph h{on};
  h.send(1);
  for (ticket i = 2; i <= 4; ++i)
    h.send(i, 2);
  h.send(0, 2, false); // the service's own
  h.answer();
  REQUIRE(h.batches->size() == 2);
  commit_result result{.number = h.batches->back()->number,
                       .requests = {{1, 0, 1}, {1, 1, 0}, {0, 0, 2}, {0, 0, 2}},
                       .took = 1ms};
  for (auto [request, at] : {std::pair{0U, 1U}, {2U, 0U}, {2U, 1U}, {3U, 0U}, {3U, 1U}})
    result.refused.push_back({.request = request, .at = at, .detail = "too long"});
  h.tell_store_says(result);
  const auto& said = h.replies->outcomes;
  CHECK(said.at(2).stored == 1);
  REQUIRE(said.at(2).refused.size() == 1);
  CHECK(said.at(2).refused[0].at == 1);
  CHECK(said.at(2).refused[0].detail == "too long");
  CHECK(said.at(3).error == error_code::none);
  CHECK(said.at(3).stored == 1);
  CHECK(said.at(3).duplicates == 1);
  CHECK(said.at(3).refused.empty());
  CHECK(said.at(4).refused.size() == 2);
  auto ledger = h.ledger();
  CHECK(ledger.stored == 3);
  CHECK(ledger.duplicates == 1);
  CHECK(ledger.rejected == 5);
  CHECK(ledger.settled());
  CHECK(h.rejected(rejection::refused_by_store) == 5);
}

TEST_CASE("stats: commits are timed as the store says, and flushes from the cut of the batch") {
  virtual_system on;
  graph h{on};
  h.send(1);
  on.advance(40ms);
  h.answer(); // says that it took 1 ms
  h.send(2);
  on.advance(3ms);
  h.send(3);
  on.advance(4ms);
  auto waits = h.status();
  CHECK(waits.gauge(gauge_name::oldest_ms) == 4); // the one before is under way
  h.answer(error_code::store_unavailable);
  auto status = h.status();
  REQUIRE(status.times.size() == 2);
  CHECK(status.times[0].name == "commit");
  CHECK(status.times[0].counts.count() == 1); // what failed was none
  CHECK(status.times[0].counts.total == 1ms);
  CHECK(status.times[1].name == "flush");
  CHECK(status.times[1].counts.count() == 1);
  CHECK(status.times[1].counts.total == 40ms);
  CHECK(h.rejected(rejection::store_unavailable) == 1);
}

TEST_CASE("flaw 11: what nobody waits for is flushed within the interval, whatever trickles in") {
  virtual_system on;
  auto with = graph::defaults_for_tests();
  with.queue.batch_events = 100;
  graph h{on, with};
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
  graph h{on};
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
  graph h{on};
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

TEST_CASE("stats: of a store that refuses everybody is told the kind, an administrator the words") {
  virtual_system on;
  graph h{on};
  h.send(1);
  h.answer(error_code::store_unavailable); // "disk full"
  auto ask = [&](bool in_full) {
    health_query query{.causes = {{"stats", cause_kind::degraded, "as last seen", "as last seen"},
                                  {"store", cause_kind::degraded, "x", "x"}},
                       .in_full = in_full};
    tell_from_outside(h.stats, atom::ask_v,
                      std::make_shared<asked<health_query>>(query, query_reply{h.replies, 7}));
    on.run();
    return h.replies->last.body;
  };
  auto told = ask(false);
  CAPTURE(told);
  CHECK(told.find("disk full") == told.npos);
  CHECK(told.find(R"("causes":["store: x","stats: the database takes no events"])") != told.npos);
  CHECK(told.find(R"("doing":"idle, the store refuses")") != told.npos);
  CHECK(told.find(R"("degraded":"the database takes no events")") != told.npos);
  auto whole = ask(true);
  CAPTURE(whole);
  CHECK(whole.find(R"("stats: the database takes no events: disk full")") != whole.npos);
  CHECK(whole.find(R"("doing":"idle, the store refuses: disk full")") != whole.npos);
}

TEST_CASE("stats: the health tells how many values count under (other), and identities are lost") {
  virtual_system on;
  graph h{on};
  h.send(1);
  h.tell_store_says({.number = h.batches->back()->number,
                     .requests = {{1, 0}},
                     .counted_as_other = 7,
                     .identities_lost = 5});
  tell_from_outside(
    h.stats, atom::ask_v,
    std::make_shared<asked<health_query>>(health_query{}, query_reply{h.replies, 7}));
  on.run();
  CAPTURE(h.replies->last.body);
  CHECK(h.replies->last.body.find(R"("counted_as_other":7)") != std::string::npos);
  CHECK(h.replies->last.body.find(R"("identities_lost":5)") != std::string::npos);
}

TEST_CASE("stats: who waits behind events that nobody waits for is refused as soon as others") {
  virtual_system on;
  graph h{on};
  h.send(0, 8, false);
  on.advance(200ms);
  REQUIRE(h.batches->size() == 1);
  h.send(1, 8); // more than a batch takes beside the first
  h.answer(error_code::store_unavailable);
  REQUIRE(h.batches->size() == 2);
  h.answer(error_code::store_unavailable);
  REQUIRE(h.replies->outcomes.contains(1));
  CHECK(h.replies->outcomes.at(1).error == error_code::store_unavailable);
  CHECK(h.batches->size() == 2); // and nobody waits any more: the rest has time
  CHECK(h.ledger().in_queue == 8);
  on.advance(260ms);
  REQUIRE(h.batches->size() == 3);
  h.answer();
  CHECK(h.ledger().stored == 8);
  CHECK(h.ledger().settled());
}

TEST_CASE("stats: a silent store loses the batch when it has not begun to commit") {
  virtual_system on;
  graph h{on};
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
  graph h{on};
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
  graph h{on};
  h.send(1);
  tell_from_outside(h.stats, atom::attach_v, h.store);
  on.run();
  REQUIRE(h.batches->size() == 2);
  CHECK(h.batches->at(0) == h.batches->at(1));
  REQUIRE(h.batches->at(1)->begin_commit());
  tell_from_outside(h.stats, atom::attach_v, store_actor{});
  on.run();
  CHECK(h.replies->outcomes.at(1).error == error_code::outcome_unknown);
}

TEST_CASE("stats: a fast stop refuses those who wait, and keeps what was taken") {
  virtual_system on;
  graph h{on};
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
  graph h{on};
  auto turn = std::make_shared<ingest_turn>(h.replies);
  turn->requests.push_back({.to = 1, .events = std::vector<event>(1)});
  tell_from_outside(h.stats, atom::ingest_v, std::move(turn));
  tell_urgent_from_outside(h.stats, atom::release_v, release_order{});
  on.run();
  REQUIRE(h.batches->size() == 1);
  h.answer();
  CHECK(h.replies->outcomes.at(1).stored == 1);
}

TEST_CASE("stats: events about our own requests hold no stop up while the store refuses; they are "
          "dropped, and counted") {
  for (bool refused_before : {true, false}) {
    CAPTURE(refused_before);
    virtual_system on;
    recorded_log log;
    graph h{on};
    h.send(0, 3, false);
    if (refused_before) {
      on.advance(210ms);
      h.answer(error_code::store_unavailable);
    }
    CHECK_FALSE(h.gone());
    h.release(stop_mode::graceful);
    if (!refused_before) {
      REQUIRE(h.batches->size() == 1); // one try
      h.answer(error_code::store_unavailable);
    }
    CHECK(h.batches->size() == 1);
    CHECK(h.gone());
    CHECK(h.ledgers->read()->rejected == 3);
    CHECK(h.ledgers->read()->settled());
    CHECK(log.contains("drops events about the service's own requests"));
  }
}

TEST_CASE("stats: what was acknowledged before the commit still holds a stop up, and own events "
          "are no part of what is missing then") {
  virtual_system on;
  auto with = graph::defaults_for_tests();
  with.answer_after = durability::queued;
  graph h{on, with};
  h.send(1, 2);
  h.send(0, 3, false);
  h.release(stop_mode::graceful);
  h.answer(error_code::store_unavailable);
  CHECK_FALSE(h.gone());
  on.advance(300ms);
  CHECK(h.batches->size() == 2); // tried again
  h.answer(error_code::store_unavailable);
  CHECK_FALSE(h.gone());
  h.release(stop_mode::fast);
  CHECK(h.gone());
  CHECK(h.ledgers->read()->in_queue == 2);
  CHECK(h.ledgers->read()->rejected == 3);
}

TEST_CASE("stats: durability queued answers before the commit") {
  virtual_system on;
  auto with = graph::defaults_for_tests();
  with.answer_after = durability::queued;
  graph h{on, with};
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
