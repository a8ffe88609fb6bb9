#pragma once
/// Where a request goes.

#include <optional>
#include <string_view>

namespace phi::http {

/// Views into the target.
struct request_target {
  std::string_view path;  ///< "/health"
  std::string_view query; ///< behind the question mark; empty: none
};

/// Reads origin-form ("/health?x=1"), and absolute-form ("http://host/health?x=1"), which proxies
/// send and every server must take (RFC 9112, section 3.2.2). Which host is asked for is no matter:
/// we serve one. Any other form is taken as a path that does not exist. Nothing: an address without
/// a host, or with a user (RFC 9110, sections 4.2.1 and 4.2.4).
std::optional<request_target> read_target(std::string_view target);

} // namespace phi::http
