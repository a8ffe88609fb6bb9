#include "protocol/text/rfc3339.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;

TEST_CASE("RFC 3339 times are read exactly") {
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339("1970-01-01T00:00:01.5Z") == 1'500'000);
  CHECK(parse_rfc3339("2026-01-02T03:04:05.678901Z") == 1'767'323'045'678'901);
  CHECK(parse_rfc3339("2026-01-02T03:04:05.6789019Z") == 1'767'323'045'678'901);
  CHECK(parse_rfc3339("1970-01-01T05:45:00+05:45") == 0);
  CHECK(parse_rfc3339("1969-12-31T19:00:00-05:00") == 0);
  CHECK(parse_rfc3339("2016-12-31t23:59:60z") == parse_rfc3339("2016-12-31T23:59:59.999999Z"));
  CHECK(parse_rfc3339("2024-02-29T00:00:00Z").has_value());
}

TEST_CASE("what is no RFC 3339 time is refused") {
  for (auto text : {"", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z",
                    "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
                    "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+5:45",
                    "2026-01-01T00:00:00+0545", "2026-01-01T00:00:00Zx", "0000-01-01T00:00:00Z",
                    "2025-02-29T00:00:00Z", "x026-01-01T00:00:00Z", "2026-01-01T00:00:00+24:00"})
    CHECK_MESSAGE(!parse_rfc3339(text), text);
}

TEST_CASE("times and dates are written so that they read back the same") {
  for (int64_t t : {int64_t{0}, int64_t{1}, int64_t{1'767'323'045'678'901}, int64_t{-1},
                    int64_t{-86'400'000'001}})
    CHECK(parse_rfc3339(format_rfc3339(t)) == t);
  CHECK(format_rfc3339(1'500'000) == "1970-01-01T00:00:01.5Z");
  CHECK(format_rfc3339(0) == "1970-01-01T00:00:00Z");
  for (int32_t day : {0, 1, -1, 20'000, -20'000})
    CHECK(parse_date(format_date(day)) == day);
}
