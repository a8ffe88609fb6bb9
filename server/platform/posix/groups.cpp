#include "server/platform/groups.hpp"
#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/sockets.hpp"
#include "protocol/platform/users.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace phi {
namespace {

/// Whether files of ours can have the group: rights, sandbox and user name spaces have a say.
bool may_give_to(uint32_t number) {
  if (number == ::getegid())
    return true;
  owned_fd probe{::memfd_create("group", MFD_CLOEXEC)};
  return probe && ::fchown(probe.get(), static_cast<uid_t>(-1), number) == 0;
}

} // namespace

bool is_peer_allowed(int socket, std::optional<uint32_t> group) {
  auto peer = peer_of(socket);
  return peer
         && (peer->user == root_user || peer->user == acting_user()
             || (group && is_peer_in_group(socket, *peer, *group)));
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
