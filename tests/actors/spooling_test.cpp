// What STATS gives to the spool, and when, on virtual time, with a spool that does what the test
// says.

#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/spool_fixture.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct spooling_fixture : stats_fixture {
  explicit spooling_fixture(virtual_system& on)
    : stats_fixture(on, stats_fixture::defaults_for_tests(), true) {}

  const ingest_outcome& outcome(ticket of) { return replies->outcomes.at(of); }
  bool answered(ticket of) const { return replies->outcomes.contains(of); }
};

} // namespace

TEST_CASE("what the store refuses goes to the spool, and its sender hears so") {
  virtual_system on;
  spooling_fixture h{on};
  h.send(1, 3);
  h.answer(error_code::store_unavailable);
  CHECK_FALSE(h.answered(1));
  REQUIRE(h.spooled->size() == 1);
  CHECK(h.spooled->front()->parts[0].id == h.batches->front()->parts[0].id);
  h.answer_spool();
  CHECK(h.outcome(1).spooled);
  CHECK(h.outcome(1).stored == 3);
  CHECK(h.ledger().spooled == 3);
  CHECK(h.ledger().balanced());
}

TEST_CASE("who asks whether it is there waits until the spool has said what it holds") {
  virtual_system on;
  spooling_fixture h{on};
  caf::scoped_actor asker{on.system};
  bool there = false;
  auto first = asker->request(h.stats, 10min, atom::ping_v);
  auto second = asker->request(h.stats, 10min, atom::ping_v);
  on.advance(60s);
  CHECK_FALSE(asker->has_next_message());
  h.replay({.recovered = 5});
  first.receive([&](const pong&) { there = true; }, [](const caf::error&) { FAIL("no answer"); });
  second.receive([](const pong&) {}, [](const caf::error&) { FAIL("no answer"); });
  CHECK(there);
  CHECK(h.ledger().spooled == 5);
  auto third = asker->request(h.stats, 1s, atom::ping_v);
  on.run();
  third.receive([](const pong&) {}, [](const caf::error&) { FAIL("no answer"); });
}

TEST_CASE("while the database is away, batches go to the spool at once; after a replay to the "
          "store again") {
  virtual_system on;
  spooling_fixture h{on};
  h.send(1);
  h.answer(error_code::store_unavailable);
  h.answer_spool();
  h.send(2);
  CHECK(h.batches->size() == 1);
  REQUIRE(h.spooled->size() == 2);
  h.answer_spool();
  h.replay({.recovered = 5}); // found at the start: says nothing about the database
  h.replay({.set_aside = 1}); // neither does this
  h.replay({.requeued = 1});
  h.send(3);
  CHECK(h.spooled->size() == 3);
  h.answer_spool();
  h.replay({.stored = 1, .duplicates = 1, .took = 5s}); // it is back, and still too slow
  h.send(4);
  CHECK(h.spooled->size() == 4);
  h.answer_spool();
  h.replay({.stored = 2, .took = 5ms});
  h.send(5);
  CHECK(h.batches->size() == 2);
  h.answer();
  CHECK(h.outcome(5).stored == 1);
  CHECK_FALSE(h.outcome(5).spooled);
  auto ledger = h.ledger();
  CHECK(ledger.received == 10);
  CHECK(ledger.spooled == 5);
  CHECK(ledger.stored == 4);
  CHECK(ledger.balanced());
}

TEST_CASE("a store that is slow past the bound: the spool gets the batch, also from the middle of "
          "its COMMIT") {
  for (bool in_commit : {false, true}) {
    virtual_system on;
    spooling_fixture h{on};
    h.send(1);
    if (in_commit)
      h.batches->back()->begin_commit();
    on.advance(900ms);
    CHECK(h.spooled->empty());
    on.advance(200ms);
    REQUIRE(h.spooled->size() == 1);
    CHECK(h.batches->back()->begin_commit()
          == in_commit); // else it can never be committed any more
    h.answer_spool();
    CHECK(h.outcome(1).spooled);
    h.answer(*h.batches->back()); // too late: it is counted when it is replayed
    CHECK(h.ledger().spooled == 1);
    CHECK(h.ledger().stored == 0);
    h.replay({.stored = 1});
    CHECK(h.ledger().stored == 1);
    CHECK(h.ledger().settled());
    CHECK_FALSE(h.replies->twice);
  }
}

TEST_CASE("a commit that was cut off may have happened: the spool gets it") {
  virtual_system on;
  spooling_fixture h{on};
  h.send(1);
  h.batches->back()->begin_commit();
  h.answer(error_code::outcome_unknown);
  REQUIRE(h.spooled->size() == 1);
  h.answer_spool();
  CHECK(h.outcome(1).spooled);
}

TEST_CASE(
  "the spool is full: refused when the store has refused, unknown when it may have stored") {
  virtual_system on;
  spooling_fixture h{on};
  SUBCASE("refused by the store") {
    h.send(1);
    h.answer(error_code::store_unavailable);
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome(1).error == error_code::spool_full);
    CHECK(h.outcome(1).retry_after_s > 0);
  }
  SUBCASE("cut off in COMMIT") {
    h.send(1);
    h.batches->back()->begin_commit();
    h.answer(error_code::outcome_unknown);
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome(1).error == error_code::outcome_unknown);
  }
  SUBCASE("slow before COMMIT") {
    h.send(1);
    on.advance(1100ms);
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome(1).error == error_code::spool_full);
    h.answer(error_code::store_unavailable); // now the batch is ours again
  }
  SUBCASE("slow in COMMIT, and stored in the end") {
    h.send(1);
    h.batches->back()->begin_commit();
    on.advance(1100ms);
    h.answer(*h.batches->back()); // before the spool says no
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome(1).stored == 1);
    CHECK(h.outcome(1).error == error_code::none);
  }
  CHECK(h.ledger().settled());
  h.send(2); // the store is tried again
  CHECK(h.batches->size() == 2);
  CHECK_FALSE(h.replies->twice);
}

TEST_CASE(
  "with the database away and the spool full, what nobody waits for is tried now and then") {
  virtual_system on;
  spooling_fixture h{on};
  for (ticket i = 1; i <= 4; ++i)
    h.send(i, 8, false); // more than one batch
  h.answer(error_code::store_unavailable);
  h.answer_spool(error_code::spool_full);
  size_t tries = 0;
  for (auto end = on.now() + 10s; on.now() < end;) {
    auto stores = h.batches->size();
    auto spools = h.spooled->size();
    on.advance(10ms);
    if (h.batches->size() > stores) {
      ++tries;
      h.answer(error_code::store_unavailable);
    }
    if (h.spooled->size() > spools)
      h.answer_spool(error_code::spool_full);
  }
  CHECK(tries == 7); // after 0.25, 0.5, 1 and then 2 s each: a try costs a batch's work
  CHECK(h.ledger().in_queue == 32);
}

TEST_CASE("what the spool has although its sender was told that nobody knows is counted when it "
          "is found, and nothing below zero") {
  virtual_system on;
  spooling_fixture h{on};
  h.send(1, 2);
  h.answer(error_code::store_unavailable);
  h.answer_spool(error_code::outcome_unknown);
  CHECK(h.outcome(1).error == error_code::outcome_unknown);
  CHECK(h.ledger().rejected == 2);
  h.replay({.stored = 2, .took = 1ms});
  auto ledger = h.ledger();
  CHECK(ledger.spooled == 0);
  CHECK(ledger.stored == 2);
  CHECK(ledger.received == 4);
  CHECK(ledger.settled());
}

TEST_CASE("a spool that fails is not called full") {
  virtual_system on;
  spooling_fixture h{on};
  SUBCASE("the store has refused") {
    h.send(1);
    h.answer(error_code::store_unavailable);
    h.answer_spool(error_code::spool_failed);
  }
  SUBCASE("the store may still answer") {
    h.send(1);
    on.advance(1100ms);
    h.answer_spool(error_code::spool_failed);
  }
  CHECK(h.outcome(1).error == error_code::spool_failed);
}

TEST_CASE("a fast stop: what was given up is not spooled, what was taken is") {
  virtual_system on;
  spooling_fixture h{on};
  h.send(1);
  h.send(2, 1, false); // waits for the next batch
  on.advance(100ms);
  h.stop(stop_mode::fast);
  CHECK(h.outcome(1).error == error_code::stopping);
  on.advance(1s);
  REQUIRE(h.spooled->size() == 1);
  CHECK(h.spooled->back()->requests.empty()); // all of it was given up
  h.answer_spool();
  REQUIRE(h.spooled->size() == 2);
  CHECK(h.spooled->back()->events == 1);
  h.answer_spool();
  CHECK(h.ledger().spooled == 1);
  CHECK(h.ledger().rejected == 1);
  CHECK(h.ledger().settled());
}

TEST_CASE("a spool that was restarted gets the batch under way once more") {
  virtual_system on;
  spooling_fixture h{on};
  h.send(1);
  h.answer(error_code::store_unavailable);
  auto again = std::make_shared<std::vector<commit_batch_ptr>>();
  auto spool = on.keep(on.system.spawn(fake_spool, again));
  tell_from_outside(h.stats, atom::attach_v, spool);
  on.run();
  REQUIRE(again->size() == 1);
  CHECK(again->front()->number == h.spooled->front()->number);
  h.answer_spool();
  CHECK(h.outcome(1).spooled);
}
