#pragma once
/// The READER: answers questions on a reading connection of its own, so that they never block
/// ingest. Blocks; service_graph gives it a thread of its own.

#include "actors/child.hpp"
#include "actors/ports/reader_port.hpp"

namespace phi {

struct reader_state {
  child_identity who;
  reader_port_ptr port;
  duration query_timeout{};
  uint64_t answered = 0;
  uint64_t dropped = 0; ///< their askers had gone
  time_counts times;    ///< of those that were answered
  outcome asked;        ///< whether the last question could be asked of the database
  time_point asked_at{};
};

reader_actor::behavior_type reader_behavior(reader_actor::stateful_pointer<reader_state> self,
                                            child_identity who, reader_port_ptr port,
                                            duration query_timeout);

/// The INSPECTOR: the same for what takes long, so that no question waits for it.
inspector_actor::behavior_type
inspector_behavior(inspector_actor::stateful_pointer<reader_state> self, child_identity who,
                   reader_port_ptr port, duration query_timeout);

} // namespace phi
