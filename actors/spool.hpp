#pragma once
/// The SPOOL: takes batches while the database is away, and replays them in order, what has
/// gathered at a time. One that the database does not take holds nobody up: it is set aside.
/// Blocks on the disk; service_graph gives it a thread of its own.

#include "actors/child.hpp"
#include "actors/ports/spool_port.hpp"
#include "actors/retry_wait.hpp"

#include <deque>
#include <optional>
#include <vector>

namespace phi {

struct spool_state {
  /// What an operator has asked, and takes long.
  struct question {
    asked_ptr<spool_task> asked;
    spool_progress so_far;
  };

  child_identity who;
  spool_port_ptr port;
  store_actor store;
  spool_listener_actor listener;
  retry_wait wait;
  commit_batch_ptr at_store;            ///< the batch that the store has
  std::optional<replay_result> settled; ///< it is committed, and still to be taken out
  std::vector<refused_event> refused;   ///< but for these
  uint64_t aside_told = 0;              ///< events set aside that the listener knows of
  size_t one_by_one = 0;                ///< so many batches: something was wrong with one of them

  // The first batch fails, again and again: one further behind is tried, and when the database
  // takes that and not the first, the first is set aside for a while.
  size_t tries = 0;        ///< in vain, since one was taken
  size_t skip = 0;         ///< so many are gone round; doubles up to the end of the spool
  size_t rounds = 0;       ///< times that it came there, and not one was taken
  bool well = false;       ///< the database took one from behind the first, right before
  size_t lone_lost = 0;    ///< times that the way to it failed with the first, and not with others
  size_t go_round = 0;     ///< so many more go before it for that
  size_t merged_fails = 0; ///< of several batches together, since that went well
  bool was_deferred = false;             ///< the batch that the store has had been set aside
  std::optional<time_point> deferred_at; ///< when the next of these is tried
  std::deque<question> questions;        ///< a step of one, then a step of the next
  bool timer_armed = false;
  bool stopping = false;
  uint64_t appended = 0; ///< events
  uint64_t replayed = 0;
};

/// Opens the spool before its first message; an actor that cannot open it ends with the reason.
spool_actor::behavior_type spool_behavior(spool_actor::stateful_pointer<spool_state> self,
                                          child_identity who, spool_port_ptr port,
                                          store_actor store);

} // namespace phi
