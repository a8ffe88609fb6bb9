#pragma once
/// The MEMBERSHIP of this instance among those that share a database: its name and its lease, what
/// others ask of it, whose duty the maintenance is, the restart slot. Blocks on the database;
/// service_graph gives it a thread of its own. Nothing waits for it: events flow without.

#include "actors/child.hpp"
#include "actors/ports/cluster_port.hpp"

#include <functional>
#include <string>

namespace phi {

struct membership_state {
  child_identity who;
  cluster_port_ptr port;
  std::function<maintenance_actor()> maintenance; ///< as it is now; it may be null
  std::optional<instance_wish> wanted;            ///< as last carried out
  std::string away;                               ///< why the database is, or we may not use it
  uint64_t beats = 0;
  uint64_t settled = 0; ///< events stored or known, at the last beat
};

/// `maintenance` gives who is told whether it is this instance's duty, at every sign of life; null
/// while it is not there.
membership_actor::behavior_type
membership_behavior(membership_actor::stateful_pointer<membership_state> self, child_identity who,
                    cluster_port_ptr port, std::function<maintenance_actor()> maintenance);

} // namespace phi
