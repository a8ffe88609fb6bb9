#pragma once
/// The KEEPER: keeps this instance's place among those that share a database, and does the
/// maintenance of the database when that is this instance's duty. Blocks on the database; wiring
/// gives it a thread of its own. Nothing waits for it: events flow without.

#include "actors/child.hpp"
#include "actors/ports/cluster_port.hpp"

#include <string>

namespace phi {

struct keeper_state {
  child_identity who;
  cluster_port_ptr port;
  std::string wanted; ///< as last carried out
  bool away = false;  ///< the database is
  bool leads = false;
  uint64_t beats = 0;
  uint64_t settled = 0;     ///< events stored or known, at the last beat
  time_point maintain_at{}; ///< not before
};

keeper_actor::behavior_type keeper_behavior(keeper_actor::stateful_pointer<keeper_state> self,
                                            child_identity who, cluster_port_ptr port);

} // namespace phi
