#pragma once
/// ADMIN: answers the admin socket's requests (protocol/README.md) by asking the others.

#include "actors/child.hpp"
#include "actors/ports/console_port.hpp"

#include <functional>

namespace phi {

struct admin_state {
  child_identity who;
  console_port_ptr console;
  uint64_t requests = 0;
  uint64_t backups = 0;
  bool stopping = false; ///< what the service is from then on does not change any more
};

/// `attach` is called once with this actor; from then on it gets every request line.
admin_actor::behavior_type admin_behavior(admin_actor::stateful_pointer<admin_state> self,
                                          child_identity who, console_port_ptr console,
                                          std::function<outcome(admin_actor)> attach);

} // namespace phi
