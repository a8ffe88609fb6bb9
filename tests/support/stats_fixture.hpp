#pragma once
/// STATS on virtual time, between clients that write down their answers and a store and a spool
/// that do what the test says.

#include "actors/stats.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/quiet_child.hpp"
#include "tests/support/replies.hpp"
#include "tests/support/virtual_time.hpp"

#include <caf/scoped_actor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace phi::testing {

using namespace std::chrono_literals;

using batches_ptr = std::shared_ptr<std::vector<commit_batch_ptr>>;

inline store_actor::behavior_type fake_store(batches_ptr batches) {
  return quiet_child<store_actor>(
    [batches](atom::commit, const commit_batch_ptr& batch, const commit_listener_actor&) {
      batches->push_back(batch);
    });
}

inline spool_actor::behavior_type fake_spool(batches_ptr batches) {
  return quiet_child<spool_actor>(
    [](atom::committed, const commit_result&) {},
    [batches](atom::append, const commit_batch_ptr& batch, const spool_listener_actor&) {
      batches->push_back(batch);
    },
    [](atom::attach, const store_actor&) {}, [](atom::attach, const spool_listener_actor&) {},
    [](atom::replay) {}, [](atom::ask, const asked_ptr<spool_task>&) {}, [](atom::check) {});
}

/// STATS over a store, and if asked for a spool, that do what the test says.
struct stats_fixture {
  explicit stats_fixture(virtual_system& on, stats_settings with = defaults_for_tests(),
                         bool with_spool = false)
    : on(on) {
    store = on.keep(on.system.spawn(fake_store, batches));
    if (with_spool)
      spool = on.keep(on.system.spawn(fake_spool, spooled));
    auto who = child_identity{"stats", {}, std::make_shared<activity>()};
    ledgers = {who.activity, &who.activity->ledgers};
    stats = on.keep(on.system.spawn(stats_behavior, who, store, spool, with));
    on.run();
  }

  static stats_settings defaults_for_tests() {
    return {.queue = {.max_events = 100, .max_bytes = 1 << 20, .batch_events = 10},
            .flush_interval = 200ms,
            .commit_overdue = 8s,
            .spool_after = 1s,
            .commit_retry = 250ms,
            .commit_retry_max = 2s};
  }

  void send(ticket to, size_t events = 1, bool awaited = true) {
    auto turn = std::make_shared<ingest_turn>(replies);
    turn->requests.push_back({.to = to, .awaited = awaited, .events = std::vector<event>(events)});
    tell_from_outside(stats, atom::ingest_v, std::move(turn));
    on.run();
  }

  void answer(error_code error = error_code::none) { answer(*batches->back(), error); }

  void answer(const commit_batch& of, error_code error = error_code::none) {
    const auto* batch = &of;
    commit_result result{
      .number = batch->number, .error = error, .detail = "disk full", .took = 1ms};
    for (const auto& request : batch->requests)
      result.requests.push_back({static_cast<uint32_t>(request.events.size()), 0});
    tell_from_outside(stats, atom::committed_v, result);
    on.run();
  }

  void tell_store_says(const commit_result& result) {
    tell_from_outside(stats, atom::committed_v, result);
    on.run();
  }

  void answer_spool(error_code error = error_code::none) {
    tell_from_outside(stats, atom::spooled_v,
                      spool_result{spooled->back()->number, error, "spool full"});
    on.run();
  }

  void replay(replay_result result) {
    tell_from_outside(stats, atom::replayed_v, result);
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

  actor_status status() {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(stats, 1s, atom::status_v);
    on.run();
    actor_status out;
    pending.receive([&](const actor_status& status) { out = status; },
                    [](const caf::error&) { FAIL("no answer"); });
    return out;
  }

  ledger_counts ledger() { return *status().ledger; }

  /// How many events were rejected for this reason.
  uint64_t rejected(rejection why) {
    for (const auto& [reason, count] : status().rejected)
      if (reason == to_string(why))
        return count;
    return 0;
  }

  /// Whether it has left.
  bool gone() {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(stats, 1s, atom::status_v);
    on.run();
    bool out = false;
    pending.receive([](const actor_status&) {}, [&](const caf::error&) { out = true; });
    return out;
  }

  virtual_system& on;
  batches_ptr batches = std::make_shared<std::vector<commit_batch_ptr>>();
  batches_ptr spooled = std::make_shared<std::vector<commit_batch_ptr>>();
  std::shared_ptr<recorded_replies> replies = std::make_shared<recorded_replies>();
  std::shared_ptr<ledger_board> ledgers; ///< its ledger, also when it has left
  store_actor store;
  spool_actor spool;
  stats_actor stats;
};

} // namespace phi::testing
