#include "protocol/platform/sockets.hpp"

#include "protocol/platform/files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace phi {
namespace {

/// Where a local socket is. False: the path is too long.
bool set_path(sockaddr_un& at, const std::string& path) {
  at.sun_family = AF_UNIX;
  if (!can_be_socket(path)) {
    errno = ENAMETOOLONG;
    return false;
  }
  std::memcpy(at.sun_path, path.data(), path.size());
  return true;
}

owned_fd local_socket(int flags) {
  return owned_fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)};
}

} // namespace

ptrdiff_t send_now(int socket, std::string_view bytes) {
  return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

ptrdiff_t send_some(int socket, std::string_view bytes) {
  return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

owned_fd listen_at(const std::string& path) {
  sockaddr_un at{};
  constexpr mode_t for_owner_and_group = 0660;
  owned_fd fd = local_socket(SOCK_NONBLOCK);
  if (!fd || !set_path(at, path)
      || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0
      || ::chmod(path.c_str(), for_owner_and_group) != 0 || ::listen(fd.get(), SOMAXCONN) != 0)
    throw std::system_error(errno, std::generic_category());
  return fd;
}

bool give_to_group(const std::string& path, uint32_t group) {
  auto about = facts_at(path);
  return (about && about->group == group)
         || ::chown(path.c_str(), static_cast<uid_t>(-1), group) == 0;
}

bool can_be_socket(const std::string& path) {
  return path.size() < sizeof(sockaddr_un::sun_path);
}

owned_fd connect_to(const std::string& path) {
  sockaddr_un at{};
  if (!set_path(at, path))
    return {};
  owned_fd fd = local_socket(0);
  if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    fd.reset();
  return fd;
}

std::optional<socket_peer> peer_of(int socket) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return std::nullopt;
  return socket_peer{who.uid, who.gid};
}

bool is_peer_in_group(int socket, const socket_peer& peer, uint32_t group) {
  if (peer.group == group)
    return true;
  std::array<gid_t, 256> groups{};
  socklen_t size = sizeof groups;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0)
    return false;
  auto end = groups.begin() + static_cast<ptrdiff_t>(size / sizeof(gid_t));
  return std::find(groups.begin(), end, group) != end;
}

bool send_with_file(int socket, char byte, int file) {
  iovec content{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof file)> control{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto* about = CMSG_FIRSTHDR(&message);
  about->cmsg_level = SOL_SOCKET;
  about->cmsg_type = SCM_RIGHTS;
  about->cmsg_len = CMSG_LEN(sizeof file);
  std::memcpy(CMSG_DATA(about), &file, sizeof file);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

ptrdiff_t receive_with_file(int socket, char* to, size_t size, owned_fd& file) {
  iovec bytes{to, size};
  int received = -1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof received)> control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  const auto* about = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (about && about->cmsg_level == SOL_SOCKET && about->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&received, CMSG_DATA(about), sizeof received);
    file.reset(received);
  }
  return got;
}

} // namespace phi
