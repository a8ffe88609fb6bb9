#pragma once
/// The listening socket.

#include "protocol/outcome.hpp"
#include "protocol/platform/descriptor.hpp"

#include <cstdint>
#include <string>

namespace phi {

/// Binds to `host` (a name or an address) and `port`; else what is wrong and what would help.
/// Nobody can connect before `listen_on`.
result<owned_fd> bind_listener(const std::string& host, uint16_t port);

/// Lets clients connect to what was bound.
outcome listen_on(int bound);

/// Both of it.
result<owned_fd> open_listener(const std::string& host, uint16_t port);

struct bound_address {
  std::string host; ///< numeric
  uint16_t port = 0;
  bool loopback = false;
};

/// Where a TCP socket is bound.
bound_address address_of(int fd);

/// From now on the system refuses attempts to connect at once, while connections on their way in
/// still complete. So what waits can be accepted and the socket closed without resetting anybody.
/// Only for a socket that no other process shares.
void refuse_new_connections(int listener);

} // namespace phi
