#pragma once
/// Users and groups of this machine, by number. On a system without such numbers everybody is the
/// same one.

#include <cstdint>
#include <optional>
#include <string>

namespace phi {

/// Root: the user who may do everything.
inline constexpr uint32_t root_user = 0;

/// As whom this process acts.
uint32_t acting_user();

/// Nothing: there is no user of that name.
std::optional<uint32_t> number_of_user(const std::string& name);

/// Nothing: there is no such group, or the name is empty.
std::optional<uint32_t> number_of_group(const std::string& name);

/// Becomes this user, with this group as the only one, for good. Only root can. False: `errno` says
/// why; the process may be neither the one nor the other then, and must not go on.
bool become_user(uint32_t user, uint32_t group);

} // namespace phi
