#pragma once
/// The limits of this room, from the configuration.

#include "config/config.hpp"
#include "protocol/errors.hpp"
#include "server/http/connection_link.hpp"

namespace phi::http {

link_limits limits_of(const config& c);

/// What a request would have to keep to, and the setting; empty for an error that no limit causes.
std::string describe_limit(error_code why, const config& c);

} // namespace phi::http
