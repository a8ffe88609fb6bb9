#pragma once
/// Who may come in: bearer tokens, and the origins that browsers may call from.

#include "config/config.hpp"
#include "protocol/errors.hpp"
#include "server/api/tokens.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace phi::http {

/// Whether an Authorization header lets in where `needed` is asked for: `none`, `unauthorized` (no
/// token, an unknown or an expired one) or `forbidden` (its scopes do not reach). auth.token lets
/// in everywhere; without it, and as long as no token was ever made, everybody may. Takes the same
/// time whatever is right about the token.
error_code admit(std::string_view authorization, scope needed, const config& settings,
                 const api::token_store& tokens);

/// Whether the header proves an administrator: auth.token, or a token with the scope admin. Where
/// everybody may come in, nobody is one.
bool is_administrator(std::string_view authorization, const config& settings,
                      const api::token_store& tokens);

/// The Authorization header of a request that brings its token as `access_token` in its query
/// string (RFC 6750, section 2.3), as senders do who have no say over headers: a browser's beacons,
/// webhooks. Only to send events with: what stands in an address is seen by many. Empty: no token.
std::string authorization_of_query(std::string_view query_string);

enum class origin_grant : uint8_t {
  no,
  to_all, ///< by "*"
  by_name,
};

/// Whether pages of this origin may call from a browser.
origin_grant grant_to_origin(std::string_view origin, const config& settings);

} // namespace phi::http
