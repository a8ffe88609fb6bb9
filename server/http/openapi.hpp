#pragma once
/// The description of the API for programs (OpenAPI 3.1), made from the routes.

#include "server/http/routes.hpp"

#include <string>

namespace phi::http {

/// `with_tokens`: requests need a token, but for those of the health.
std::string openapi_of(const route_table& routes, bool with_tokens);

} // namespace phi::http
