// Each limit of a connection comes from its own key.

#include "server/http/limits.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace std::chrono_literals;

TEST_CASE("limits: each from its key, in its unit") {
  config settings;
  settings.server.max_uri_bytes = 1;
  settings.server.max_header_bytes = 2;
  settings.server.max_header_count = 3;
  settings.server.max_body_bytes = 4;
  settings.server.keepalive_timeout_secs = 5;
  settings.server.header_timeout_ms = 6;
  settings.server.body_timeout_ms = 7;
  settings.server.write_timeout_ms = 8;
  auto limits = http::limits_of(settings);
  CHECK(limits.framing.uri_bytes == 1);
  CHECK(limits.framing.header_bytes == 2);
  CHECK(limits.framing.header_count == 3);
  CHECK(limits.framing.body_bytes == 4);
  CHECK(limits.keepalive_timeout == 5s);
  CHECK(limits.header_timeout == 6ms);
  CHECK(limits.body_timeout == 7ms);
  CHECK(limits.write_timeout == 8ms);
}

TEST_CASE("limits: an error that a limit causes names it, and the setting") {
  config settings;
  settings.server.max_body_bytes = 4;
  CHECK(http::describe_limit(error_code::body_too_large, settings)
        == "more than 4 bytes (server.max_body_bytes)");
  settings.server.max_header_bytes = 100;
  settings.server.max_header_count = 7;
  CHECK(http::describe_limit(error_code::header_too_large, settings)
        == "more than 100 bytes (server.max_header_bytes) or 7 fields (server.max_header_count)");
  settings.server.max_uri_bytes = 9;
  CHECK(http::describe_limit(error_code::uri_too_long, settings)
        == "more than 9 bytes (server.max_uri_bytes)");
  CHECK(http::describe_limit(error_code::bad_http, settings) == "");
}
