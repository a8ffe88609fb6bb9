#pragma once
/// The KEEPER: keeps this instance's place among those that share a database, and does the
/// maintenance of the database when that is this instance's duty. Blocks on the database;
/// service_graph gives it a thread of its own. Nothing waits for it: events flow without.

#include "actors/child.hpp"
#include "actors/ports/cluster_port.hpp"
#include "config/defaults.hpp"

#include <string>

namespace phi {

struct keeper_state {
  child_identity who;
  cluster_port_ptr port;
  std::string wanted; ///< as last carried out
  std::string away;   ///< why the database is, or we may not use it
  bool leads = false;
  uint64_t beats = 0;
  uint64_t settled = 0;                         ///< events stored or known, at the last beat
  time_point maintain_at{};                     ///< not before
  duration retry = defaults::maintenance_retry; ///< after an error of maintenance
};

keeper_actor::behavior_type keeper_behavior(keeper_actor::stateful_pointer<keeper_state> self,
                                            child_identity who, cluster_port_ptr port);

} // namespace phi
