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

event_limits event_limits_of(const config& c) {
  const auto& s = c.stats;
  return {.events = static_cast<size_t>(s.max_events_per_request),
          .event_bytes = static_cast<size_t>(s.max_event_bytes),
          .text_bytes = static_cast<size_t>(s.max_text_bytes),
          .extra_bytes = static_cast<size_t>(s.max_extra_bytes),
          .max_future_us = s.max_future_secs * 1'000'000,
          .max_age_us = s.max_age_days * 86'400'000'000,
          .start_at_us = c.resolved.start_at_us};
}

} // namespace phi::http
