#pragma once
/// The SQL of what an operator asks; the same text serves SQLite and PostgreSQL, and pastes into
/// psql.

#include <string_view>

namespace phi::statistics::sql {

// -- inspecting ---------------------------------------------------------------------------------

inline constexpr std::string_view events_after =
  "SELECT seq, time_us, feature, action, route, method, status, duration_us, instance FROM event"
  " WHERE seq > $1 AND seq <= $4 AND ($3 IS NULL OR feature = $3) ORDER BY seq LIMIT $2";

/// The number before the first that is missing behind $1; NULL: none is.
inline constexpr std::string_view first_gap =
  "SELECT min(before) FROM (SELECT seq, lag(seq, 1, $1) OVER (ORDER BY seq) AS before FROM event"
  " WHERE seq > $1) AS numbered WHERE seq <> before + 1";

inline constexpr std::string_view last_events =
  "SELECT * FROM (SELECT seq, time_us, feature, action, route, method, status, duration_us,"
  " instance FROM event WHERE seq > $1 AND ($3 IS NULL OR feature = $3) ORDER BY seq DESC LIMIT $2)"
  " AS latest ORDER BY seq";

/// A sum of 64-bit numbers that cannot overflow, in two columns: its multiples of 2^32, and the
/// rest. See `wide_sum`.
#define PHI_WIDE_SUM(column)                                                                       \
  " coalesce(sum(" column " >> 32), 0), coalesce(sum(" column " & 4294967295), 0)"

} // namespace phi::statistics::sql
