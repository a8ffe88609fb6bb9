#pragma once
/// What connections can do beside carrying bytes: local ones that say who is at the other end, and
/// pass open files along.

#include "protocol/platform/descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phi {

/// Sends what there is room for, never waits, and never ends the process when nobody is there. How
/// many bytes; below zero: none, `errno` says why.
ptrdiff_t send_now(int socket, std::string_view bytes);

/// The same, but waits for room for the first byte.
ptrdiff_t send_some(int socket, std::string_view bytes);

// -- local sockets ------------------------------------------------------------------------------

/// Listens at `path`, where nothing may be, for our own user and group. Throws std::system_error.
owned_fd listen_at(const std::string& path);

/// Gives the place of a local socket to a group, also where a sandbox forbids to change owners but
/// it has the group already. False: `errno` says why.
bool give_to_group(const std::string& path, uint32_t group);

/// Whether a path is short enough for a local socket.
bool can_be_socket(const std::string& path);

/// A connection to who listens at `path`. None: `errno` says why.
owned_fd connect_to(const std::string& path);

/// As whom the process at the other end of a local connection acted when it was made.
struct socket_peer {
  uint32_t user = 0;
  uint32_t group = 0;
};
/// Nothing: the system does not tell.
std::optional<socket_peer> peer_of(int socket);

/// Whether the process at the other end of a local connection is in a group, by its own or its
/// further groups.
bool is_peer_in_group(int socket, const socket_peer& peer, uint32_t group);

/// Sends one byte and along with it an open file, of which the other end gets a descriptor of its
/// own. Never waits; false: nothing was sent.
bool send_with_file(int socket, char byte, int file);

/// Waits for bytes, up to `size`. How many; 0: the end, below zero: the connection has failed. An
/// open file that comes along replaces `file`.
ptrdiff_t receive_with_file(int socket, char* to, size_t size, owned_fd& file);

} // namespace phi
