#pragma once
/// Groups of users: who may use what the service offers on this machine.

#include <optional>
#include <string>
#include <sys/types.h>

namespace phi {

/// Nothing: there is no such group, or the name is empty.
std::optional<gid_t> number_of_group(const std::string& name);

/// Whether the process at the other end of a local socket runs as root, as the user that we run as,
/// or in the group.
bool is_peer_allowed(int peer, std::optional<gid_t> group);

/// Why this process cannot open its admin socket to a group, and what to do; empty: it can.
std::string admin_group_trouble(const std::string& group);

} // namespace phi
