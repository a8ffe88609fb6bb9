#pragma once
/// What would end a start although the configuration is right in itself: what it names is not there
/// on this machine.

#include "config/config.hpp"
#include "server/systemd/unit_limits.hpp"

#include <optional>
#include <string>
#include <vector>

namespace phi {

/// One text for people each. Changes nothing. `unit`: the service runs in it; nothing: as we do.
std::vector<std::string> what_would_end_a_start(const config& settings,
                                                const std::optional<systemd::unit_limits>& unit);

} // namespace phi
