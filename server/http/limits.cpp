#include "server/http/limits.hpp"

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

} // namespace phi::http
