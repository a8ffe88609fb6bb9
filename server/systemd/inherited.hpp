#pragma once
/// Listening sockets that the service manager opened for us (sd_listen_fds(3)). They stay open
/// there while we are restarted, so that no connection is refused.

#include "protocol/outcome.hpp"
#include "protocol/platform/descriptor.hpp"

#include <vector>

namespace phi::systemd {

/// Takes them over; a second call gives none. Fails when one is a socket that we cannot serve.
result<std::vector<owned_fd>> take_inherited_sockets();

} // namespace phi::systemd
