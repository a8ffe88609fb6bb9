#pragma once
/// Who may come in: the bearer token, and the origins that browsers may call from.

#include "config/config.hpp"

#include <string>
#include <string_view>

namespace phi::http {

/// Whether the Authorization header holds the configured token; without one everybody may.
bool has_token(std::string_view authorization, const config& settings);

/// `origin` if it is allowed, else an empty text.
std::string allowed_origin(std::string_view origin, const config& settings);

} // namespace phi::http
