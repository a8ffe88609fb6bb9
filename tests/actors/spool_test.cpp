// What comes out of the spool, on virtual time: SPOOL on a disk in memory.

#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/spool_fixture.hpp"

#include <cstdlib>
#include <set>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

TEST_CASE("the spool replays in order, what has gathered at a time, and tells what came of it") {
  virtual_system on;
  spool_fixture h{on};
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
  spool_fixture h{on};
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
  spool_fixture h{on};
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
  spool_fixture h{on};
  h.disk->keeps_apart = outcome::failure("disk full");
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
  h.disk->keeps_apart = {};
  minute([] { return true; });
  CHECK(h.disk->batches.empty());
  CHECK(h.disk->aside.size() == 1);
}

TEST_CASE("events that the database refuses are set aside, the others of their batch leave the "
          "spool; put back, they are replayed") {
  recorded_log log;
  virtual_system on;
  spool_fixture h{on};
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
  spool_fixture h{on};
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
  CHECK(h.stats.ledger().spooled == 0);
  CHECK(h.stats.ledger().received == 28);
  CHECK(h.stats.ledger().settled());
}

TEST_CASE("however many the database does not take, and wherever they lie, all others are stored") {
  for (int good : {1, 4, 6, 7, 8, 12, 16, 20, 24}) {
    CAPTURE(good);
    virtual_system on;
    spool_fixture h{on};
    std::set<int> bad;
    for (int i = 1; i <= 24; ++i) {
      h.append(1);
      if (i != good)
        bad.insert(i);
    }
    h.answer_for(600s, bad);
    CHECK(h.stats.ledger().stored == 1);
    CHECK(h.stats.ledger().spooled + h.stats.ledger().set_aside == 23);
  }
}

TEST_CASE(
  "a connection that ends with the first alone proves nothing against it, nor does a database that "
  "is busy then: it stays, others go round it") {
  for (int ends : {1, 2, 3, -1, -2, -3}) {
    recorded_log log;
    virtual_system on;
    spool_fixture h{on};
    h.reached = ends < 0;
    h.passing = ends < 0;
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
      bool bad =
        first && (!alone || failed < std::abs(ends) + 1); // once before others are tried at all
      failed += bad && alone;
      h.answer(bad ? error_code::store_unavailable : error_code::none);
    }
    CHECK(h.disk->batches.empty());
    CHECK(h.stats.ledger().set_aside == 0);
    CHECK(h.stats.ledger().stored == 465);
  }
}

TEST_CASE("a connection that ends with the first alone for ever: others go round it for ever") {
  recorded_log log;
  virtual_system on;
  spool_fixture h{on};
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

TEST_CASE("a database that is always busy with the same batch: it is set aside for a while") {
  recorded_log log;
  virtual_system on;
  spool_fixture h{on};
  h.passing = true;
  for (size_t i = 1; i <= 30; ++i) { // others come all the time
    h.append(i);
    h.answer_for(1s, {1});
    CHECK(h.stats.ledger().stored + h.stats.ledger().spooled + h.stats.ledger().set_aside
          == i * (i + 1) / 2);
  }
  CHECK(log.count("goes round a batch") == 1);
  CHECK(log.count("sets a batch aside for a while") == 1);
  CHECK(h.stats.ledger().set_aside == 1);
  CHECK(h.stats.ledger().stored == 464);
  h.answer_for(60s, {});
  CHECK(h.stats.ledger().set_aside == 0);
  CHECK(h.stats.ledger().stored == 465);
}

TEST_CASE("a single batch that is not taken is no reason to keep what comes after it") {
  virtual_system on;
  spool_fixture h{on};
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
    spool_fixture h{on};
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
  spool_fixture h{on};
  h.append();
  on.advance(150ms);
  h.disk->stuck = outcome::failure("disk full");
  h.answer();
  CHECK(h.stats.ledger().spooled == 1);
  h.disk->stuck = {};
  on.advance(1s);
  CHECK(h.at_store->size() == 1);
  CHECK(h.stats.ledger().stored == 1);
  CHECK(h.stats.ledger().settled());
}

TEST_CASE("after `stop` the spool still takes batches and replays none") {
  virtual_system on;
  spool_fixture h{on};
  tell_urgent_from_outside(h.spool, atom::stop_v, stop_order{});
  h.append();
  on.advance(10s);
  CHECK(h.at_store->empty());
  CHECK(h.disk->batches.size() == 1);
}

TEST_CASE("a new store gets the batch that the old one had") {
  virtual_system on;
  spool_fixture h{on};
  h.append();
  on.advance(150ms);
  CHECK(h.at_store->size() == 1);
  tell_from_outside(h.spool, atom::attach_v, h.store);
  on.advance(10ms);
  CHECK(h.at_store->size() == 2);
}

TEST_CASE("events that come while an operator's check goes on do not wait for it, nor does another "
          "question") {
  virtual_system on;
  spool_fixture h{on};
  h.disk->check_steps = 1000;
  h.disk->on_step = [&](int64_t step) {
    if (step != 10)
      return;
    h.hand_over(1); // comes in the middle of it, and so does the next
    h.ask(spool_show{}, "show");
  };
  h.ask(spool_check{}, "check");
  on.run();
  CHECK(h.said == std::vector<std::string>{"show", "check"});
  CHECK(h.disk->batches.size() == 1);
  CHECK(h.disk->steps_at_append <= 12);
}

TEST_CASE("two checks go on side by side; one whose asker has gone ends") {
  virtual_system on;
  spool_fixture h{on};
  h.disk->check_steps = 100;
  auto gone = std::make_shared<std::atomic<bool>>(false);
  h.disk->on_step = [&](int64_t step) { *gone = *gone || step == 50; };
  h.ask(spool_check{}, "abandoned", gone);
  h.ask(spool_check{}, "whole");
  on.run();
  CHECK(h.said == std::vector<std::string>{"abandoned", "whole"}); // the first is given back early
  CHECK(h.disk->steps < 160);
}

TEST_CASE("a stop that ends the opening of the spool is no failure of its start") {
  for (bool stops : {true, false}) {
    recorded_log log;
    virtual_system on;
    auto seen_at = std::make_shared<activity>();
    if (stops)
      seen_at->press(urge::stop);
    auto disk = std::make_shared<fake_disk>();
    disk->opens = outcome::failure("it was given up");
    auto store =
      on.keep(on.system.spawn(fake_store, std::make_shared<std::vector<commit_batch_ptr>>()));
    auto spool =
      on.keep(on.system.spawn(spool_behavior, child_identity{"spool", {}, seen_at}, disk, store));
    tell_from_outside(spool, atom::release_v, release_order{});
    on.run();
    CHECK(log.contains("spool gives up opening the spool for the stop cause=it was given up")
          == stops);
    CHECK((seen_at->last_message() == "release") == stops); // else it was not there any more
  }
}
