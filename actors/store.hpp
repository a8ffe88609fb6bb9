#pragma once
/// The STORE: the one writing connection. Blocks; service_graph gives it a thread of its own.

#include "actors/child.hpp"
#include "actors/ports/store_port.hpp"

namespace phi {

struct store_state {
  child_identity who;
  store_port_ptr port;
  uint64_t batches = 0;
  uint64_t events = 0;
  duration committing_in_stop{};
};

/// Opens the database before its first message; an actor that cannot open it ends with the reason.
store_actor::behavior_type store_behavior(store_actor::stateful_pointer<store_state> self,
                                          child_identity who, store_port_ptr port);

} // namespace phi
