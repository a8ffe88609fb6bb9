#pragma once
/// The SPOOL: takes batches while the database is away, and replays them in order, what has
/// gathered at a time.
/// Blocks on the disk; wiring gives it a thread of its own.

#include "actors/child.hpp"
#include "actors/ports/spool_port.hpp"
#include "actors/retry_wait.hpp"

#include <optional>
#include <vector>

namespace phi {

struct spool_state {
  child_identity who;
  spool_port_ptr port;
  store_actor store;
  spool_listener_actor listener;
  retry_wait wait;
  commit_batch_ptr at_store;            ///< the batch that the store has
  std::optional<replay_result> settled; ///< it is committed, and still to be taken out
  std::vector<refused_event> refused;   ///< but for these
  uint64_t aside_told = 0;              ///< events set aside that the listener knows of
  size_t one_by_one = 0; ///< so many batches: the database refused one of them for good
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
