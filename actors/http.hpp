#pragma once
/// HTTP: the public listener's life. The requests themselves run on the server's event loops, which
/// enter the actor world through `backend_port`.

#include "actors/child.hpp"
#include "actors/ports/http_port.hpp"

#include <optional>

namespace phi {

struct http_state {
  child_identity who;
  http_port_ptr port;
  bool left = false;
  std::optional<time_point> stop_at;
  http_counts at_stop;

  /// An actor that dies leaves its connections to the next one; one that is killed in a stop does
  /// not, and then nobody would end them.
  ~http_state() {
    if (stop_at && !left && port)
      port->cut();
  }
};

http_actor::behavior_type http_behavior(http_actor::stateful_pointer<http_state> self,
                                        child_identity who, http_port_ptr port);

} // namespace phi
