// Where the batch under way can be, and every way from there, on virtual time: STATS between a
// store and a spool that do what the test says.

#include "tests/support/doctest.hpp"
#include "tests/support/stats_fixture.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// A request that waits (1, one event) and the service's own (two events), as one batch at the
/// store.
struct one_batch : stats_fixture {
  explicit one_batch(virtual_system& on, bool with_spool = true)
    : stats_fixture(on, stats_fixture::defaults_for_tests(), with_spool) {
    auto turn = std::make_shared<ingest_turn>(replies);
    turn->requests.push_back({.awaited = false, .events = std::vector<event>(2)});
    turn->requests.push_back({.to = 1, .events = std::vector<event>(1)});
    tell_from_outside(stats, atom::ingest_v, std::move(turn));
    on.run();
    REQUIRE(batches->size() == 1);
    REQUIRE(batches->front()->events == 3);
  }

  void begin_commit() { CHECK(batches->front()->begin_commit()); }
  void overdue() { on.advance(with_spool() ? 1100ms : 8100ms); }
  bool with_spool() const { return static_cast<bool>(spool); }

  /// The store dies; another takes its place.
  void restart_store() {
    store = on.keep(on.system.spawn(fake_store, batches));
    tell_from_outside(stats, atom::attach_v, store);
    on.run();
  }

  /// The spool dies; another takes its place, or none.
  void restart_spool(bool again = true) {
    spool = again ? on.keep(on.system.spawn(fake_spool, spooled)) : spool_actor{};
    tell_from_outside(stats, atom::attach_v, spool);
    on.run();
  }

  bool answered() const { return replies->outcomes.contains(1); }
  const ingest_outcome& outcome() const {
    REQUIRE(answered());
    return replies->outcomes.at(1);
  }

  /// Nothing hangs: what is left is stored when the store is well, and the next request too.
  void check_goes_on() {
    for (int i = 0; i < 10 && ledger().in_queue > 0; ++i) {
      on.advance(300ms);
      if (batches->size() > answered_batches_)
        answer();
      answered_batches_ = batches->size();
    }
    CHECK(ledger().settled());
    auto before = batches->size();
    send(9);
    REQUIRE(batches->size() == before + 1);
    answer();
    CHECK(replies->outcomes.at(9).stored == 1);
    CHECK(ledger().settled());
    CHECK_FALSE(replies->twice);
  }

private:
  size_t answered_batches_ = 1;
};

} // namespace

TEST_CASE("at both, the store dies, the spool is full: the sender hears so, and nothing hangs") {
  for (bool in_commit : {false, true}) {
    CAPTURE(in_commit);
    virtual_system on;
    one_batch h{on};
    if (in_commit)
      h.begin_commit();
    h.overdue();
    REQUIRE(h.spooled->size() == 1);
    h.restart_store();
    CHECK_FALSE(h.answered());
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome().error == (in_commit ? error_code::outcome_unknown : error_code::spool_full));
    h.check_goes_on();
  }
}

TEST_CASE(
  "at the spool, it dies with the batch and is gone for good: nobody knows, and the store has "
  "the rest") {
  virtual_system on;
  one_batch h{on};
  h.answer(error_code::store_unavailable);
  REQUIRE(h.spooled->size() == 1);
  h.restart_spool(false);
  CHECK(h.outcome().error == error_code::outcome_unknown);
  h.check_goes_on();
}

TEST_CASE(
  "at the spool, it dies with the batch, and the next one cannot write: the first may have") {
  virtual_system on;
  one_batch h{on};
  h.answer(error_code::store_unavailable);
  h.restart_spool();
  REQUIRE(h.spooled->size() == 2); // handed over once more
  CHECK_FALSE(h.answered());
  h.answer_spool(error_code::spool_failed);
  CHECK(h.outcome().error == error_code::outcome_unknown);
  h.check_goes_on();

  virtual_system other; // and where it has not died
  one_batch innocent{other};
  innocent.answer(error_code::store_unavailable);
  innocent.answer_spool(error_code::spool_failed);
  CHECK(innocent.outcome().error == error_code::spool_failed);
}

TEST_CASE("at both, the store dies, the spool takes it: spooled") {
  virtual_system on;
  one_batch h{on};
  h.overdue();
  h.restart_store();
  h.answer_spool();
  CHECK(h.outcome().spooled);
  CHECK(h.ledger().spooled == 3);
  CHECK(h.ledger().settled());
}

TEST_CASE("at both, the store refuses late, the spool is full: refused, unknown when it may have "
          "committed") {
  for (auto error : {error_code::store_unavailable, error_code::outcome_unknown}) {
    CAPTURE(to_string(error));
    virtual_system on;
    one_batch h{on};
    if (error == error_code::outcome_unknown)
      h.begin_commit();
    h.overdue();
    h.answer(*h.batches->front(), error);
    CHECK_FALSE(h.answered());
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome().error
          == (error == error_code::outcome_unknown ? error : error_code::spool_full));
    h.check_goes_on();
  }
}

TEST_CASE("at both, the spool is full, the store answers last: given up, and ours again then") {
  for (bool in_commit : {false, true}) {
    CAPTURE(in_commit);
    virtual_system on;
    one_batch h{on};
    if (in_commit)
      h.begin_commit();
    h.overdue();
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome().error == (in_commit ? error_code::outcome_unknown : error_code::spool_full));
    CHECK(h.ledger().in_queue == (in_commit ? 3 : 2));
    h.answer(*h.batches->front(),
             in_commit ? error_code::none : error_code::store_unavailable); // only then
    h.check_goes_on();
  }
}

TEST_CASE("late: the store has committed what the spool has as well") {
  virtual_system on;
  one_batch h{on};
  h.begin_commit();
  h.overdue();
  h.answer(*h.batches->front());
  CHECK_FALSE(h.answered());
  SUBCASE("the spool takes it: it counts when it is replayed") {
    h.answer_spool();
    CHECK(h.outcome().spooled);
    CHECK(h.ledger().spooled == 3);
  }
  SUBCASE("the spool is full: it is stored") {
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome().stored == 1);
    CHECK(h.outcome().error == error_code::none);
    CHECK(h.ledger().stored == 3);
  }
  SUBCASE("the store dies, the spool is full: it is stored all the same") {
    h.restart_store();
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome().stored == 1);
    CHECK(h.ledger().stored == 3);
  }
  CHECK(h.ledger().settled());
}

TEST_CASE("at the spool only: the store has refused it") {
  virtual_system on;
  one_batch h{on};
  h.answer(error_code::store_unavailable);
  REQUIRE(h.spooled->size() == 1);
  SUBCASE("a store that is restarted does not get it") {
    h.restart_store();
    CHECK(h.batches->size() == 1);
    h.answer_spool();
    CHECK(h.outcome().spooled);
    CHECK(h.ledger().settled());
  }
  SUBCASE("the spool is full") {
    h.answer_spool(error_code::spool_full);
    CHECK(h.outcome().error == error_code::spool_full);
    h.check_goes_on();
  }
  SUBCASE("nobody knows whether the spool has it") {
    h.answer_spool(error_code::outcome_unknown);
    CHECK(h.outcome().error == error_code::outcome_unknown);
    h.check_goes_on();
  }
}

TEST_CASE("given up: without a spool, a late store") {
  virtual_system on;
  one_batch h{on, false};
  SUBCASE("before COMMIT: refused; what nobody waits for is tried again") {
    h.overdue();
    CHECK(h.outcome().error == error_code::store_unavailable);
    CHECK_FALSE(h.batches->front()->begin_commit());
    SUBCASE("by the store that answers at last") {
      h.answer(*h.batches->front(), error_code::store_unavailable);
    }
    SUBCASE("by the one that takes its place") {
      h.restart_store();
    }
    on.advance(300ms);
    REQUIRE(h.batches->size() == 2);
    CHECK(h.batches->back()->events == 2);
    h.answer();
    CHECK(h.ledger().stored == 2);
    CHECK(h.ledger().rejected == 1);
  }
  SUBCASE("in COMMIT: unknown") {
    h.begin_commit();
    h.overdue();
    CHECK(h.outcome().error == error_code::outcome_unknown);
    SUBCASE("it commits at last") {
      h.answer(*h.batches->front());
    }
    SUBCASE("it dies: the next one looks whether it is there") {
      h.restart_store();
      REQUIRE(h.batches->size() == 2);
      CHECK(h.batches->back()->again);
      CHECK(h.batches->back()->events == 3);
      h.answer();
    }
    CHECK(h.ledger().stored == 3);
  }
  CHECK(h.ledger().settled());
  CHECK_FALSE(h.replies->twice);
}

TEST_CASE("given up by a fast stop while there is a spool: what was taken is spooled") {
  virtual_system on;
  one_batch h{on};
  h.begin_commit();
  h.stop(stop_mode::fast);
  CHECK(h.outcome().error == error_code::outcome_unknown);
  h.answer(*h.batches->front(), error_code::outcome_unknown);
  REQUIRE(h.spooled->size() == 1);
  CHECK(h.spooled->front()->events == 3);
  h.answer_spool();
  CHECK(h.ledger().spooled == 3);
  CHECK(h.ledger().settled());
}

TEST_CASE("given up at the store that took the place of one that died in its COMMIT: unknown") {
  for (bool in_commit : {true, false}) {
    CAPTURE(in_commit);
    virtual_system on;
    one_batch h{on, false};
    if (in_commit)
      h.begin_commit();
    h.restart_store();
    REQUIRE(h.batches->size() == 2);
    SUBCASE("it is silent") {
      h.overdue();
      CHECK(h.outcome().error
            == (in_commit ? error_code::outcome_unknown : error_code::store_unavailable));
    }
    SUBCASE("the stop is fast") {
      h.stop(stop_mode::fast);
      CHECK(h.outcome().error == (in_commit ? error_code::outcome_unknown : error_code::stopping));
    }
    CHECK_FALSE(h.batches->back()->begin_commit());
    h.answer(*h.batches->back(), error_code::store_unavailable);
    on.advance(300ms); // what was taken is tried again
    REQUIRE(h.batches->size() == 3);
    h.answer();
    CHECK(h.ledger().stored == 2);
    CHECK(h.ledger().rejected == 1);
    CHECK(h.ledger().settled());
    CHECK_FALSE(h.replies->twice);
  }
}
