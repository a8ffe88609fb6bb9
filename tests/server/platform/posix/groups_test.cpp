// Who may use the admin socket: by groups of this machine, with processes that act as others.

#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/users.hpp"
#include "server/platform/groups.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/own_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

using namespace phi;
using namespace phi::testing;

namespace {

// Numbers of nobody on any machine that runs tests.
constexpr uint32_t stranger = 61'184;
constexpr gid_t further = 61'185;
constexpr gid_t foreign = 61'186;

std::array<owned_fd, 2> connection() {
  int ends[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {owned_fd{ends[0]}, owned_fd{ends[1]}};
}

/// Only root can act as others.
bool can_act_as_others() {
  if (acting_user() == root_user)
    return true;
  MESSAGE("skipped: not root");
  return false;
}

const char* said(bool yes) {
  return yes ? "yes " : "no ";
}

} // namespace

TEST_CASE("groups: an empty name is none and all right, one that does not exist is refused") {
  CHECK(check_group_exists("").why() == "");
  CHECK(check_group_exists("root").why() == "");
  CHECK(check_group_exists("no-such-group").why()
        == "admin.group = \"no-such-group\": there is no such group");
  CHECK(check_admin_group("").why() == "");
  CHECK(check_admin_group("no-such-group").why()
        == "admin.group = \"no-such-group\": there is no such group");
}

TEST_CASE("groups: the socket can be given to a group of ours, and to any by root only") {
  if (!can_act_as_others())
    return;
  CHECK(check_admin_group("root").why() == "");
  CHECK(check_admin_group("daemon").why() == "");
  auto ended = in_own_process([](int words) {
    auto daemon = *number_of_group("daemon");
    auto ours = *number_of_group("bin");
    std::array<gid_t, 2> groups{stranger, daemon};
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setresgid(ours, ours, ours) != 0
        || ::setresuid(stranger, stranger, stranger) != 0)
      return;
    write_to(words, said(static_cast<bool>(check_admin_group("bin"))));    // its own
    write_to(words, said(static_cast<bool>(check_admin_group("daemon")))); // a further one
    write_to(words, check_admin_group("root").why());
  });
  CHECK(ended.words
        == "yes yes admin.group = \"root\": the service may not give its socket to this group."
           " Under systemd let it run in the group: systemctl edit phi-backend, and add [Service]"
           " Group=root, then systemctl restart phi-backend");
}

TEST_CASE("groups: our own user may always use the socket") {
  auto [ours, theirs] = connection();
  CHECK(is_peer_allowed(ours.get(), std::nullopt));
  CHECK(is_peer_allowed(ours.get(), foreign));
}

TEST_CASE("groups: of whom nothing is known is not allowed") {
  int ends[2] = {-1, -1};
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  owned_fd in{ends[0]};
  owned_fd out{ends[1]};
  owned_fd remote{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  for (int fd : {in.get(), remote.get(), -1}) {
    CHECK_FALSE(is_peer_allowed(fd, std::nullopt));
    CHECK_FALSE(is_peer_allowed(fd, ::getegid()));
  }
}

TEST_CASE("groups: a stranger may use the socket by the group only, its own or a further one") {
  if (!can_act_as_others())
    return;
  auto ended = in_own_process([](int words) {
    gid_t one = further;
    if (::setgroups(1, &one) != 0 || ::setegid(stranger) != 0 || ::seteuid(stranger) != 0)
      return;
    auto [ours, theirs] = connection(); // as the stranger
    if (::seteuid(root_user) != 0 || ::setegid(0) != 0 || ::setgroups(0, nullptr) != 0)
      return;
    write_to(words, said(is_peer_allowed(ours.get(), std::nullopt)));
    write_to(words, said(is_peer_allowed(ours.get(), foreign)));
    write_to(words, said(is_peer_allowed(ours.get(), stranger)));
    write_to(words, said(is_peer_allowed(ours.get(), further)));
  });
  CHECK(ended.words == "no no yes yes ");
}

TEST_CASE("groups: root may always use the socket, also that of another user") {
  if (!can_act_as_others())
    return;
  auto ended = in_own_process([](int words) {
    auto [ours, theirs] = connection(); // as root
    if (!become_user(stranger, stranger))
      return;
    write_to(words, said(is_peer_allowed(ours.get(), std::nullopt)));
  });
  CHECK(ended.words == "yes ");
}
