#pragma once
/// The time-outs of our unit and what else matters to us, as the service manager has them.

#include "protocol/time.hpp"

#include <optional>
#include <string>

namespace phi::systemd {

/// A limit of 0 or "infinity" is none.
struct unit_limits {
  std::string unit; ///< "phi-backend.service"
  std::optional<duration> start;
  std::optional<duration> stop;
  std::optional<duration> watchdog;
  std::string group;          ///< Group=
  bool private_users = false; ///< PrivateUsers=: of all groups it sees its own only
  std::string socket;         ///< the socket unit that listens for it; empty: none
};

/// Those of the unit that this process runs in. Nothing when there is no manager, no bus, or no
/// answer within defaults::manager_answer_timeout.
std::optional<unit_limits> limits_of_own_unit();

/// Those of a unit by its name, if it is installed.
std::optional<unit_limits> limits_of_unit(const std::string& name);

} // namespace phi::systemd
