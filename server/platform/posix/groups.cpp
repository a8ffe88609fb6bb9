#include "server/platform/posix/groups.hpp"

#include <grp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace phi {
namespace {

/// Whether the peer is in the group, by its own or its further groups.
bool is_member(int peer, const ucred& who, gid_t group) {
  if (who.gid == group)
    return true;
  std::array<gid_t, 256> groups{};
  socklen_t size = sizeof groups;
  if (::getsockopt(peer, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0)
    return false;
  auto end = groups.begin() + static_cast<ptrdiff_t>(size / sizeof(gid_t));
  return std::find(groups.begin(), end, group) != end;
}

/// Whether files of ours can have the group: rights, sandbox and user name spaces have a say.
bool may_give_to(gid_t number) {
  if (number == ::getegid())
    return true;
  int fd = ::memfd_create("group", MFD_CLOEXEC);
  bool may = fd >= 0 && ::fchown(fd, static_cast<uid_t>(-1), number) == 0;
  if (fd >= 0)
    ::close(fd);
  return may;
}

} // namespace

std::optional<gid_t> number_of_group(const std::string& name) {
  group entry{};
  group* found = nullptr;
  std::array<char, 16384> space{};
  if (name.empty() || ::getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0
      || !found)
    return std::nullopt;
  return found->gr_gid;
}

bool is_peer_allowed(int peer, std::optional<gid_t> group) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0
         && (who.uid == 0 || who.uid == ::geteuid() || (group && is_member(peer, who, *group)));
}

outcome check_group_exists(const std::string& name) {
  if (name.empty() || number_of_group(name))
    return {};
  return outcome::failure("admin.group = \"" + name + "\": there is no such group");
}

outcome check_admin_group(const std::string& name) {
  auto exists = check_group_exists(name);
  if (name.empty() || !exists || may_give_to(*number_of_group(name)))
    return exists;
  return outcome::failure(
    "admin.group = \"" + name
    + "\": the service may not give its socket to this group. Under systemd let it run in the"
      " group: systemctl edit phi-backend, and add [Service] Group="
    + name + ", then systemctl restart phi-backend");
}

} // namespace phi
