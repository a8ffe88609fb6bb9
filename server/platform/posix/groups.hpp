#pragma once
/// Groups of users: who may use what the service offers on this machine.

#include "protocol/outcome.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace phi {

/// Nothing: there is no such group, or the name is empty.
std::optional<gid_t> number_of_group(const std::string& name);

/// Whether the process at the other end of a local socket runs as root, as the user that we run as,
/// or in the group.
bool is_peer_allowed(int peer, std::optional<gid_t> group);

/// Whether there is this group; an empty name is none, and all right.
outcome check_group_exists(const std::string& group);

/// Whether this process can open its admin socket to a group; else why not, and what to do.
outcome check_admin_group(const std::string& group);

} // namespace phi
