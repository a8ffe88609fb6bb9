#include "protocol/platform/users.hpp"

#include <array>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace phi {
namespace {

/// What an entry of the user database may take.
using entry_space = std::array<char, 16384>;

} // namespace

uint32_t acting_user() {
  return ::geteuid();
}

std::optional<uint32_t> number_of_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  entry_space space{};
  if (::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0 || !found)
    return std::nullopt;
  return found->pw_uid;
}

std::optional<uint32_t> number_of_group(const std::string& name) {
  group entry{};
  group* found = nullptr;
  entry_space space{};
  if (name.empty() || ::getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0
      || !found)
    return std::nullopt;
  return found->gr_gid;
}

bool become_user(uint32_t user, uint32_t group) {
  gid_t only = group;
  return ::setgroups(1, &only) == 0 && ::setresgid(group, group, group) == 0
         && ::setresuid(user, user, user) == 0;
}

} // namespace phi
