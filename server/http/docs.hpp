#pragma once
/// The API as a page: no script, nothing from elsewhere, readable without a network.

#include "server/http/answers.hpp"
#include "server/http/routes.hpp"

namespace phi::http {

answer docs_of(const route_table& routes);

} // namespace phi::http
