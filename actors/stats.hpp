#pragma once
/// STATS: the queue before the store, its bounds, the batches, and the ledger.

#include "actors/batch.hpp"
#include "actors/child.hpp"
#include "actors/drain_credit.hpp"
#include "actors/ledger.hpp"
#include "actors/rate_meter.hpp"
#include "config/config.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace phi {

struct stats_settings {
  batch_queue::limits queue;
  duration flush_interval{};
  duration commit_overdue{};   ///< a store silent for this long loses the batch, if it still can
  duration spool_after{};      ///< the same while there is a spool; it gets the batch
  duration commit_retry{};     ///< from a refusal to the next try; doubles
  duration commit_retry_max{}; ///< up to that
  durability answer_after = durability::full;
};

stats_settings stats_settings_of(const config& settings);

struct stats_state {
  /// Who has the batch under way, and what is awaited.
  enum class stage : uint8_t {
    at_store, ///< it answers, or is late
    given_up, ///< the store still has it, and nobody waits for it any more
    at_both,  ///< the spool answers first, whatever the store does
    at_spool, ///< only there: the store has refused it, has died, or never saw it
    late,     ///< at the spool, and the store has committed it meanwhile
  };

  /// One batch at a time.
  struct commit_under_way {
    cut_batch cut;
    time_point since{};
    stage at = stage::at_store;
    time_point handed_at{}; ///< to the present store
    bool in_doubt = false;  ///< a store died, or lost its database, in its COMMIT
    commit_result said{};   ///< by the store, of a batch that is `late`

    bool in_spool() const { return at >= stage::at_both; }
  };

  child_identity who;
  stats_settings settings;
  store_actor store; ///< null: it is gone for good
  spool_actor spool; ///< null: there is none, or it is gone for good
  batch_queue queue{{}};
  phi::ledger ledger;
  rate_meter rate;
  time_counts commits; ///< transactions that stored a batch
  time_counts flushes; ///< from the cut of a batch until the store had it
  std::optional<commit_under_way> under_way;

  drain_credit credit; ///< for live events, while the spool is being emptied
  /// The spool has said how much it holds from before; until then nobody is told that we are there,
  /// so that a service that is ready knows of all that it has.
  bool spool_counted = false;
  std::vector<promise_of<pong>> started; ///< answered then
  bool away = false;                     ///< the database is: batches go to the spool
  bool away_said = false;                ///< once, until a batch is committed
  uint64_t counted_as_other = 0;         ///< as the store said last
  uint64_t identities_lost = 0;          ///< as the store said last
  bool store_refuses = false;            ///< its last answer was an error
  time_point tried_at{};                 ///< when it was last tried with an empty batch
  outcome last_commit;                   ///< why the last one that failed did
  std::optional<time_point> retry_at;    ///< not before, unless somebody waits
  duration retry_wait{};                 ///< that led to it
  bool overdue_armed = false;            ///< one timer at a time, however many commits
  uint64_t flush_timer = 0;              ///< the number of the current timer; others are stale
  bool flush_armed = false;

  bool escalated = false;   ///< what somebody waits for is refused
  bool releasing = false;   ///< `release` has come
  bool intake_over = false; ///< everything sent before `release` was handled
  std::optional<time_point> stop_at;
  uint64_t settled_before_stop = 0;
  duration waited_for_store{};
};

stats_actor::behavior_type stats_behavior(stats_actor::stateful_pointer<stats_state> self,
                                          child_identity who, store_actor store, spool_actor spool,
                                          stats_settings settings);

} // namespace phi
