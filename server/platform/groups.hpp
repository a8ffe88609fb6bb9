#pragma once
/// Groups of users: who may use what the service offers on this machine.

#include "protocol/outcome.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace phi {

/// Whether the process at the other end of a local socket runs as root, as the user that we run as,
/// or in the group.
bool is_peer_allowed(int socket, std::optional<uint32_t> group);

/// Whether there is this group; an empty name is none, and all right.
outcome check_group_exists(const std::string& group);

/// Whether this process can open its admin socket to a group; else why not, and what to do.
outcome check_admin_group(const std::string& group);

} // namespace phi
