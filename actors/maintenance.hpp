#pragma once
/// The MAINTENANCE of the database, a step at a time, while it is this instance's duty. Blocks on
/// the database, for minutes when a step is large; service_graph gives it a thread of its own.
/// Nothing waits for it: events flow without.

#include "actors/child.hpp"
#include "actors/ports/maintenance_port.hpp"
#include "config/defaults.hpp"

namespace phi {

struct maintenance_state {
  child_identity who;
  maintenance_port_ptr port;
  bool leads = false;                           ///< as last told
  time_point leads_until{};                     ///< and not longer, unless it is told again
  time_point due{};                             ///< no step before
  uint64_t steps = 0;                           ///< in which something was done
  uint64_t uncounted_bytes = 0;                 ///< as of the last step
  bool can_count = true;                        ///< as of the last time
  duration retry = defaults::maintenance_retry; ///< after an error
};

maintenance_actor::behavior_type
maintenance_behavior(maintenance_actor::stateful_pointer<maintenance_state> self,
                     child_identity who, maintenance_port_ptr port);

} // namespace phi
