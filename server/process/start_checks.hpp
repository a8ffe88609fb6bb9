#pragma once
/// What would end a start although the configuration is right in itself: what it names is not there
/// on this machine.

#include "config/config.hpp"
#include "protocol/outcome.hpp"
#include "server/systemd/unit_limits.hpp"

#include <optional>
#include <vector>

namespace phi {

/// The checks that fail; none: a start would succeed. Changes nothing. `unit`: the service runs in
/// it; nothing: as we do.
std::vector<outcome> failing_start_checks(const config& settings,
                                          const std::optional<systemd::unit_limits>& unit);

} // namespace phi
