#include "server/http/access.hpp"

#include "server/platform/digest.hpp"

namespace phi::http {

bool has_token(std::string_view authorization, const config& settings) {
  const auto& token = settings.auth.token.value;
  if (token.empty())
    return true;
  constexpr std::string_view scheme = "Bearer ";
  return authorization.starts_with(scheme)
         && same_token(authorization.substr(scheme.size()), token);
}

std::string allowed_origin(std::string_view origin, const config& settings) {
  if (!origin.empty())
    for (const auto& allowed : settings.cors.allowed_origins)
      if (allowed == "*" || allowed == origin)
        return std::string{origin};
  return {};
}

} // namespace phi::http
