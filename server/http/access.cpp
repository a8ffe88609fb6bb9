#include "server/http/access.hpp"

#include "protocol/platform/addresses.hpp"
#include "protocol/text/closest.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/api/question_reader.hpp"
#include "server/platform/digest.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <strings.h>

namespace phi::http {
namespace {

/// The token of an Authorization header, or nothing. The scheme's case is no matter, and there may
/// be several spaces behind it (RFC 9110, sections 11.1 and 11.4).
std::optional<std::string_view> bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "Bearer ";
  if (authorization.size() <= scheme.size()
      || strncasecmp(authorization.data(), scheme.data(), scheme.size()) != 0)
    return std::nullopt;
  auto token = authorization.find_first_not_of(' ', scheme.size());
  if (token == authorization.npos)
    return std::nullopt;
  return authorization.substr(token);
}

/// Domains that nobody can register (RFC 6761, 6762 and 8375, and what networks at home use).
constexpr std::array<std::string_view, 8> local_domains{
  ".localhost", ".local", ".test", ".example", ".invalid", ".internal", ".home.arpa", ".lan"};

/// That a Host field names; else 0: it may be of HTTP, or of HTTPS before us.
uint16_t port_of(std::string_view host) {
  uint16_t port = 0;
  if (auto colon = host.rfind(':'); colon != host.npos)
    std::from_chars(host.data() + colon + 1, host.data() + host.size(), port);
  return port;
}

} // namespace

admission let_in(std::string_view authorization, scope needed, const config& settings,
                 const api::token_store& tokens) {
  const auto& everywhere = settings.auth.token.value;
  if (needed == scope::none)
    return {};
  if (everywhere.empty() && !tokens.needed()) {
    tokens.note_anonymous();
    return {};
  }
  auto given = bearer_token(authorization);
  if (!given)
    return {error_code::unauthorized, {}};
  bool master = !everywhere.empty() && same_token(*given, everywhere);
  // Every digest is compared, so that the time tells nothing about which one fits.
  const api::token* found = nullptr;
  auto digest = hex_digest(*given);
  auto all = tokens.all();
  for (const auto& token : *all)
    if (same_text(digest, token.digest))
      found = &token;
  if (master)
    return {error_code::none, "auth.token"};
  if (!found || found->expired(wall_clock_us()))
    return {error_code::unauthorized, {}};
  for (auto has : found->scopes)
    if (has == needed || has == scope::admin)
      return {error_code::none, found->id};
  return {error_code::forbidden, {}};
}

bool is_administrator(std::string_view authorization, const config& settings,
                      const api::token_store& tokens) {
  bool somebody_is = !settings.auth.token.value.empty() || tokens.needed();
  return somebody_is && !authorization.empty()
         && admit(authorization, scope::admin, settings, tokens) == error_code::none;
}

std::string authorization_of_query(std::string_view query_string) {
  if (query_string.find("access_token=") == query_string.npos)
    return {};
  auto list = api::parse_query_string(query_string);
  if (list)
    for (const auto& [name, value] : *list)
      if (name == "access_token")
        return "Bearer " + value;
  return {};
}

bool brings_token(std::string_view authorization) {
  return bearer_token(authorization).has_value();
}

bool is_name_of_strangers(std::string_view host, const config& settings) {
  auto name = in_small_letters(host.substr(0, host.find(':')));
  if (name.ends_with('.'))
    name.pop_back();
  if (name.find('.') == name.npos || name.front() == '[' || name == settings.server.host
      || !bytes_of_address(name).empty())
    return false;
  return std::none_of(local_domains.begin(), local_domains.end(),
                      [&](std::string_view domain) { return name.ends_with(domain); });
}

error_code admit_host(std::string_view host, uint16_t loopback_port, const config& settings,
                      const api::token_store& tokens) {
  bool needs_token = !settings.auth.token.empty() || tokens.needed();
  if (needs_token || settings.auth.allow_anonymous || !settings.server.trusted_proxies.empty()
      || loopback_port == 0 || !is_name_of_strangers(host, settings))
    return error_code::none;
  return port_of(host) == loopback_port ? error_code::forbidden : error_code::none;
}

origin_grant grant_to_origin(std::string_view origin, const config& settings) {
  auto out = origin_grant::no;
  if (origin.empty())
    return out;
  for (const auto& allowed : settings.cors.allowed_origins) {
    if (allowed == origin && origin != "null")
      return origin_grant::by_name;
    if (allowed == "*" || allowed == origin)
      out = origin_grant::to_all;
  }
  return out;
}

} // namespace phi::http
