#pragma once
/// Listening sockets that the service manager opened for us (sd_listen_fds(3)). They stay open
/// there while we are restarted, so that no connection is refused.

#include "server/platform/posix/listener.hpp"

#include <string>
#include <vector>

namespace phi::systemd {

struct inherited_sockets {
  std::vector<owned_fd> listeners;
  std::string error; ///< not empty: a socket that we cannot serve, and what to change
};

/// Takes them over; a second call gives none.
inherited_sockets take_inherited_sockets();

} // namespace phi::systemd
