#include "server/http/limits.hpp"

#include <string>

namespace phi::http {

link_limits limits_of(const config& c) {
  using std::chrono::milliseconds;
  const auto& s = c.server;
  auto bytes = [](int64_t n) { return static_cast<size_t>(n); };
  return {.framing = {bytes(s.max_uri_bytes), bytes(s.max_header_bytes), bytes(s.max_header_count),
                      bytes(s.max_body_bytes)},
          .keepalive_timeout = std::chrono::seconds{s.keepalive_timeout_secs},
          .header_timeout = milliseconds{s.header_timeout_ms},
          .body_timeout = milliseconds{s.body_timeout_ms},
          .write_timeout = milliseconds{s.write_timeout_ms}};
}

std::string describe_limit(error_code why, const config& c) {
  const auto& s = c.server;
  switch (why) {
    case error_code::uri_too_long:
      return "more than " + std::to_string(s.max_uri_bytes) + " bytes (server.max_uri_bytes)";
    case error_code::header_too_large:
      return "more than " + std::to_string(s.max_header_bytes)
             + " bytes (server.max_header_bytes) or " + std::to_string(s.max_header_count)
             + " fields (server.max_header_count)";
    case error_code::body_too_large:
      return "more than " + std::to_string(s.max_body_bytes) + " bytes (server.max_body_bytes)";
    default: return {};
  }
}

} // namespace phi::http
