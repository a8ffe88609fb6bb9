#pragma once
/// Who may come in: bearer tokens, and the origins that browsers may call from.

#include "config/config.hpp"
#include "protocol/errors.hpp"
#include "server/api/tokens.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace phi::http {

struct admission {
  error_code refused = error_code::none; ///< else as of `admit`
  std::string token; ///< the id of the one that lets in, or "auth.token"; empty: none was needed
};

/// Whether an Authorization header lets in where `needed` is asked for: `none`, `unauthorized` (no
/// token, an unknown or an expired one) or `forbidden` (its scopes do not reach). auth.token lets
/// in everywhere; without it, and as long as no token was ever made, everybody may. Takes the same
/// time whatever is right about the token.
admission let_in(std::string_view authorization, scope needed, const config& settings,
                 const api::token_store& tokens);

inline error_code admit(std::string_view authorization, scope needed, const config& settings,
                        const api::token_store& tokens) {
  return let_in(authorization, needed, settings, tokens).refused;
}

/// Whether the header proves an administrator: auth.token, or a token with the scope admin. Where
/// everybody may come in, nobody is one.
bool is_administrator(std::string_view authorization, const config& settings,
                      const api::token_store& tokens);

/// The Authorization header of a request that brings its token as `access_token` in its query
/// string (RFC 6750, section 2.3), as senders do who have no say over headers: a browser's beacons,
/// webhooks. Only to send events with: what stands in an address is seen by many. Empty: no token.
std::string authorization_of_query(std::string_view query_string);

/// Whether an Authorization header brings a token, right or wrong; another scheme is none of ours.
bool brings_token(std::string_view authorization);

/// Whether a Host field holds a name that anybody may have in the public DNS. Not one: an address,
/// a name without a dot or of a domain that is kept for local use, and server.host.
bool is_name_of_strangers(std::string_view host, const config& settings);

/// Whether a request may be a page's that has given its own name our address (DNS rebinding), for
/// `none` or `forbidden`. `loopback_port`: as of `exchange`. Such a page has to name our port,
/// which a proxy on this machine has not in front of it; whoever lets everybody in, or says which
/// proxies there are, is taken at their word.
error_code admit_host(std::string_view host, uint16_t loopback_port, const config& settings,
                      const api::token_store& tokens);

enum class origin_grant : uint8_t {
  no,
  to_all, ///< by "*", or by "null", which is every page without an origin of its own
  by_name,
};

/// Whether pages of this origin may call from a browser.
origin_grant grant_to_origin(std::string_view origin, const config& settings);

} // namespace phi::http
