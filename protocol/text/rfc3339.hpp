#pragma once
/// RFC 3339 times, and the wall clock they are read from.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phi {

/// Microseconds since 1970-01-01 UTC of an RFC 3339 time such as `2026-01-02T03:04:05.678901Z` or
/// `...+05:45`. Digits beyond microseconds are cut off; second 60 counts as 59.999999. Nothing when
/// the text is not such a time. Years 1 to 9999.
std::optional<int64_t> parse_rfc3339(std::string_view text);

/// `2026-01-02T03:04:05.678901Z`, without trailing zeros of the fraction.
std::string format_rfc3339(int64_t microseconds);

/// Now, in microseconds since 1970-01-01 UTC.
int64_t wall_clock_us();

/// Days since 1970-01-01 of `YYYY-MM-DD`; nothing when it is not a date.
std::optional<int32_t> parse_date(std::string_view text);

/// `YYYY-MM-DD`.
std::string format_date(int32_t days);

} // namespace phi
