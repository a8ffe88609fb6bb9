// What goes to the spool and what comes out of it, on virtual time: STATS with a spool that does
// what the test says, and SPOOL on a disk in memory.

#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/spool_house.hpp"

#include <set>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct spooling_house : stats_house {
  explicit spooling_house(virtual_system& on)
    : stats_house(on, stats_house::defaults_for_tests(), true) {}

  const ingest_outcome& outcome(ticket of) { return replies->outcomes.at(of); }
  bool answered(ticket of) const { return replies->outcomes.contains(of); }
};

} // namespace

TEST_CASE("what the store refuses goes to the spool, and its sender hears so") {
  virtual_system on;
  spooling_house h{on};
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

TEST_CASE("while the database is away, batches go to the spool at once; after a replay to the "
          "store again") {
  virtual_system on;
  spooling_house h{on};
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
    spooling_house h{on};
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
  spooling_house h{on};
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
  spooling_house h{on};
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
  spooling_house h{on};
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
  spooling_house h{on};
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
  spooling_house h{on};
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
  spooling_house h{on};
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
  spooling_house h{on};
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

// -- the spool itself ---------------------------------------------------------------------------

TEST_CASE("the spool replays in order, what has gathered at a time, and tells what came of it") {
  virtual_system on;
  spool_house h{on};
  for (size_t i = 1; i <= 2; ++i)
    h.append(i);
  CHECK(h.at_store->empty());
  on.advance(150ms);
  REQUIRE(h.at_store->size() == 1);
  CHECK(h.at_store->back()->parts.size() == 2);
  CHECK(h.at_store->back()->events == 3);
  h.append(3);
  on.advance(10s);
  CHECK(h.at_store->size() == 1); // one at a time
  h.answer();
  on.advance(10ms);
  REQUIRE(h.at_store->size() == 2);
  CHECK(h.at_store->back()->events == 3);
  h.answer();
  CHECK(h.disk->batches.empty());
  CHECK(h.stats.ledger().stored == 6);
  CHECK(h.stats.ledger().settled());
}

TEST_CASE("while the database is away the spool tries again and again, less and less often") {
  virtual_system on;
  spool_house h{on};
  h.append();
  auto tries_in = [&](duration time) {
    auto before = h.at_store->size();
    for (auto end = on.now() + time; on.now() < end;) {
      auto seen = h.at_store->size();
      on.advance(10ms);
      if (h.at_store->size() > seen)
        h.answer(error_code::store_unavailable);
    }
    return h.at_store->size() - before;
  };
  CHECK(tries_in(1s) >= 3);
  tries_in(30s);
  auto later = tries_in(60s);
  CHECK(later >= 12); // without an end
  CHECK(later <= 24);
  CHECK(h.disk->batches.size() == 1);
}

TEST_CASE("a batch that the database will never take is set aside, and the next one follows") {
  recorded_log log;
  virtual_system on;
  spool_house h{on};
  h.append(1);
  h.append(2);
  h.append(3);
  on.advance(150ms);
  CHECK(h.at_store->back()->events == 6);
  h.answer(error_code::store_unavailable, true); // one of the three
  on.advance(10ms);
  CHECK(h.disk->aside.empty());
  CHECK(h.at_store->back()->events == 1); // they go one by one
  h.answer();
  on.advance(10ms);
  CHECK(h.at_store->back()->events == 2);
  h.answer(error_code::store_unavailable, true);
  on.advance(10ms);
  CHECK(h.disk->aside.size() == 1);
  CHECK(h.at_store->back()->events == 3);
  h.answer();
  CHECK(h.disk->batches.empty());
  CHECK(log.contains("sets a batch aside"));
}

TEST_CASE("a batch that cannot be set aside is tried less and less often, and others go round it") {
  recorded_log log;
  virtual_system on;
  spool_house h{on};
  h.disk->aside_trouble = "disk full";
  h.append(1);
  on.advance(150ms);
  REQUIRE(h.at_store->size() == 1);
  auto minute = [&](const auto& is_guilty) {
    for (auto end = on.now() + 60s; on.now() < end; on.advance(10ms))
      if (h.at_store->size() > std::exchange(h.answered, h.at_store->size()))
        h.answer(is_guilty() ? error_code::store_unavailable : error_code::none, is_guilty());
  };
  minute([] { return true; }); // each try ends at once: nothing may turn as fast as that
  CHECK(h.at_store->size() <= 30);
  CHECK(h.disk->batches.size() == 1);
  CHECK(h.stats.ledger().set_aside == 0);
  CHECK(log.contains("cannot set a batch aside"));
  h.append(2); // an innocent behind it
  auto first = h.disk->batches.front()->number;
  minute([&] { return h.at_store->back()->number == first; });
  CHECK(h.disk->batches.size() == 1);
  h.disk->aside_trouble.clear();
  minute([] { return true; });
  CHECK(h.disk->batches.empty());
  CHECK(h.disk->aside.size() == 1);
}

TEST_CASE("events that the database refuses are set aside, the others of their batch leave the "
          "spool; put back, they are replayed") {
  recorded_log log;
  virtual_system on;
  spool_house h{on};
  h.append(3);
  on.advance(150ms);
  commit_result result{.number = h.at_store->back()->number, .requests = {{2, 0, 1}}, .took = 1ms};
  result.refused.push_back({.request = 0, .at = 1, .detail = "too long"});
  tell_from_outside(h.spool, atom::committed_v, result);
  on.run();
  CHECK(h.disk->batches.empty());
  CHECK(h.disk->aside == std::vector<std::string>{"too long"});
  auto ledger = h.stats.ledger();
  CHECK(ledger.stored == 2);
  CHECK(ledger.set_aside == 1);
  CHECK(ledger.spooled == 0);
  CHECK(ledger.settled());
  CHECK(log.contains("sets events aside"));
  h.disk->put_back = 1;
  tell_from_outside(
    h.spool, atom::ask_v,
    std::make_shared<asked<spool_task>>(spool_requeue{}, query_reply{h.stats.replies, 1}));
  on.run();
  CHECK(h.stats.ledger().set_aside == 0);
  CHECK(h.stats.ledger().spooled == 1);
  h.answer();
  CHECK(h.stats.ledger().stored == 3);
  CHECK(h.stats.ledger().settled());
}

TEST_CASE(
  "a batch that the database does not take while it takes others holds nobody up, and is tried "
  "again later") {
  recorded_log log;
  virtual_system on;
  spool_house h{on};
  for (size_t i = 1; i <= 6; ++i)
    h.append(i);
  h.answer_for(10s, {1, 2, 4});
  CHECK(h.disk->batches.empty());
  CHECK(h.stats.ledger().stored == 3 + 5 + 6);
  CHECK(h.stats.ledger().set_aside == 1 + 2 + 4);
  CHECK(h.stats.ledger().settled());
  CHECK(log.count("sets a batch aside for a while") == 3);
  h.append(7); // the others go on
  h.answer_for(1s, {1, 2, 4});
  CHECK(h.stats.ledger().stored == 3 + 5 + 6 + 7);
  auto before = h.at_store->size();
  h.answer_for(60s, {2});
  CHECK(h.at_store->size() >= before + 1);
  h.answer_for(240s, {});
  CHECK(h.disk->kept.empty());
  CHECK(h.stats.ledger().set_aside == 0);
  CHECK(h.stats.ledger().stored == 28);
  CHECK(h.stats.ledger().settled());
}

TEST_CASE(
  "a connection that ends with the first alone proves nothing against it: it stays, others go "
  "round it") {
  for (int ends : {1, 2, 3}) {
    recorded_log log;
    virtual_system on;
    spool_house h{on};
    h.reached = false;
    for (size_t i = 1; i <= 30; ++i)
      h.append(i);
    // The way there fails in bad moments only: with the first, so many times.
    int failed = 0;
    for (auto end = on.now() + 30s; on.now() < end; on.advance(10ms)) {
      if (h.at_store->size() == h.answered)
        continue;
      h.answered = h.at_store->size();
      const auto& parts = h.at_store->back()->parts;
      bool first = parts.front().id[0] == 1;
      bool alone = parts.size() == 1;
      bool bad = first && (!alone || failed < ends + 1); // once before others are tried at all
      failed += bad && alone;
      h.answer(bad ? error_code::store_unavailable : error_code::none);
    }
    CHECK(h.disk->batches.empty());
    CHECK(h.stats.ledger().set_aside == 0);
    CHECK(h.stats.ledger().stored == 465);
  }
  recorded_log log;
  virtual_system on;
  spool_house h{on};
  h.reached = false;
  for (size_t i = 1; i <= 30; ++i)
    h.append(i);
  h.answer_for(60s, {1});
  CHECK(h.stats.ledger().set_aside == 0);
  CHECK(h.stats.ledger().spooled == 1);
  CHECK(h.stats.ledger().stored == 464);
  CHECK(h.disk->batches.size() == 1);
  h.append(31); // nor is what comes later held up
  h.answer_for(10s, {1});
  CHECK(h.stats.ledger().stored == 495);
  CHECK(log.count("sets a batch aside") == 0);
  CHECK(log.count("goes round a batch") == 1);
  h.answer_for(10s, {}); // the way there holds again
  CHECK(h.disk->batches.empty());
  CHECK(h.stats.ledger().stored == 496);
}

TEST_CASE("a single batch that is not taken is no reason to keep what comes after it") {
  virtual_system on;
  spool_house h{on};
  h.append();
  h.answer_for(30s, {1});
  CHECK(h.disk->batches.size() == 1); // nothing else tells whether the database is well
  h.append(2);
  h.answer_for(20s, {1});
  CHECK(h.stats.ledger().stored == 2);
  CHECK(h.stats.ledger().set_aside == 1);
}

TEST_CASE("an outage sets nothing aside, however long it takes and whatever is tried first then") {
  for (auto length : {1s, 7s, 40s, 300s}) {
    virtual_system on;
    spool_house h{on};
    for (size_t i = 1; i <= 40; ++i)
      h.append(i);
    std::set<int> all;
    for (int i = 1; i <= 40; ++i)
      all.insert(i);
    h.answer_for(length, all);
    CHECK(h.disk->batches.size() == 40);
    h.answer_for(10s, {});
    CHECK(h.disk->batches.empty());
    CHECK(h.disk->kept.empty());
    CHECK(h.stats.ledger().stored == 820);
    CHECK(h.stats.ledger().settled());
  }
}

TEST_CASE("a committed batch that cannot be taken out yet counts once") {
  virtual_system on;
  spool_house h{on};
  h.append();
  on.advance(150ms);
  h.disk->stuck = "disk full";
  h.answer();
  CHECK(h.stats.ledger().spooled == 1);
  h.disk->stuck.clear();
  on.advance(1s);
  CHECK(h.at_store->size() == 1);
  CHECK(h.stats.ledger().stored == 1);
  CHECK(h.stats.ledger().settled());
}

TEST_CASE("after `stop` the spool still takes batches and replays none") {
  virtual_system on;
  spool_house h{on};
  tell_urgent_from_outside(h.spool, atom::stop_v, stop_order{});
  h.append();
  on.advance(10s);
  CHECK(h.at_store->empty());
  CHECK(h.disk->batches.size() == 1);
}

TEST_CASE("a new store gets the batch that the old one had") {
  virtual_system on;
  spool_house h{on};
  h.append();
  on.advance(150ms);
  CHECK(h.at_store->size() == 1);
  tell_from_outside(h.spool, atom::attach_v, h.store);
  on.advance(10ms);
  CHECK(h.at_store->size() == 2);
}
