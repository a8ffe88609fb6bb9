#pragma once
/// What there is to ask: the answer at `/`, made from the routes.

#include "server/http/answers.hpp"
#include "server/http/routes.hpp"

#include <string_view>

namespace phi::http {

/// For people lines of text, for programs that ask for application/json in `accept` the same as
/// JSON, for browsers (text/html) the page of /docs.
answer index_of(const route_table& routes, std::string_view accept);

} // namespace phi::http
