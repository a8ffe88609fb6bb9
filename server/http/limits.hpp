#pragma once
/// The limits of this room, from the configuration.

#include "config/config.hpp"
#include "server/http/connection_link.hpp"

namespace phi::http {

link_limits limits_of(const config& c);

} // namespace phi::http
