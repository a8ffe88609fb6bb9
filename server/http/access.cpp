#include "server/http/access.hpp"

#include "config/time_text.hpp"
#include "server/platform/digest.hpp"

namespace phi::http {

error_code admit(std::string_view authorization, scope needed, const config& settings,
                 const token_book& tokens) {
  const auto& everywhere = settings.auth.token.value;
  if (needed == scope::none)
    return error_code::none;
  if (everywhere.empty() && !tokens.needed()) {
    tokens.note_anonymous();
    return error_code::none;
  }
  constexpr std::string_view scheme = "Bearer ";
  if (!authorization.starts_with(scheme))
    return error_code::unauthorized;
  auto given = authorization.substr(scheme.size());
  bool master = !everywhere.empty() && same_token(given, everywhere);
  // Every digest is compared, so that the time tells nothing about which one fits.
  const token* found = nullptr;
  auto digest = hex_digest(given);
  auto all = tokens.all();
  for (const auto& one : *all)
    if (same_text(digest, one.digest))
      found = &one;
  if (master)
    return error_code::none;
  if (!found || found->expired(wall_clock_us()))
    return error_code::unauthorized;
  for (auto has : found->scopes)
    if (has == needed || has == scope::admin)
      return error_code::none;
  return error_code::forbidden;
}

std::string allowed_origin(std::string_view origin, const config& settings) {
  if (!origin.empty())
    for (const auto& allowed : settings.cors.allowed_origins)
      if (allowed == "*" || allowed == origin)
        return std::string{origin};
  return {};
}

} // namespace phi::http
