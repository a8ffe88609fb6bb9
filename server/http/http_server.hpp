#pragma once
/// The public listener and its event loops.

#include "actors/ports/http_port.hpp"
#include "config/config.hpp"

#include <memory>

namespace phi::http {

/// Throws std::invalid_argument for settings that only this room can check (trusted proxies).
http_port_ptr make_http_server(const config& settings, std::shared_ptr<backend_port> backend);

} // namespace phi::http
