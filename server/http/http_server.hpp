#pragma once
/// The public listener and its event loops.

#include "actors/ports/http_port.hpp"
#include "config/config.hpp"
#include "server/api/tokens.hpp"
#include "server/platform/listener.hpp"

#include <memory>
#include <vector>

namespace phi::http {

/// `settings` have been checked, also what only this room can check (trusted proxies): with others
/// opening throws std::invalid_argument. `inherited`: listening sockets to serve instead of
/// server.host and server.port; may be empty.
http_port_ptr make_http_server(const config& settings, std::string salt,
                               std::shared_ptr<backend_port> backend,
                               std::shared_ptr<const api::token_store> tokens,
                               std::vector<owned_fd> inherited);

} // namespace phi::http
