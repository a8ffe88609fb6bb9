#pragma once
/// The SQL of the questions; the same text serves SQLite and PostgreSQL, and pastes into psql.

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

// -- questions: $1 first slot, $2 end slot (half-open), $3 feature, $4 route, $5 method (NULL =
// any) --

/// A sum of 64-bit numbers that cannot overflow, in two columns: its multiples of 2^32, and the
/// rest. See `wide_sum`.
#define PHI_WIDE_SUM(column)                                                                       \
  " coalesce(sum(" column " >> 32), 0), coalesce(sum(" column " & 4294967295), 0)"

#define PHI_SLOTS "slot >= $1 AND slot < $2 AND ($3 IS NULL OR feature = $3)"
#define PHI_SLOTS_ROUTES PHI_SLOTS " AND ($4 IS NULL OR route = $4) AND ($5 IS NULL OR method = $5)"

inline constexpr std::string_view counts_by_route =
  "SELECT feature, route, method, sum(n), sum(errors) FROM rollup_count WHERE " PHI_SLOTS_ROUTES
  " GROUP BY feature, route, method ORDER BY feature, route, method";

inline constexpr std::string_view counts_by_feature =
  "SELECT feature, sum(n), max(last_us) FROM rollup_count WHERE " PHI_SLOTS
  " AND feature <> '' GROUP BY feature ORDER BY 2 DESC, 1";

inline constexpr std::string_view span_of_events =
  "SELECT min(first_us), max(last_us) FROM rollup_count WHERE " PHI_SLOTS;

inline constexpr std::string_view totals =
  "SELECT coalesce(sum(n), 0), coalesce(sum(CASE WHEN route <> '' THEN n END), 0),"
  " coalesce(sum(CASE WHEN route <> '' THEN errors END), 0), coalesce(sum(timed), 0)," PHI_WIDE_SUM(
    "sum_us") ", coalesce(max(max_us), 0) FROM rollup_count WHERE " PHI_SLOTS;

inline constexpr std::string_view top_routes =
  "SELECT route, sum(n) FROM rollup_count WHERE " PHI_SLOTS
  " AND route <> '' GROUP BY route ORDER BY 2 DESC, 1 LIMIT $4";

inline constexpr std::string_view top_methods =
  "SELECT method, sum(n) FROM rollup_count WHERE " PHI_SLOTS
  " AND method <> '' GROUP BY method ORDER BY 2 DESC, 1 LIMIT $4";

inline constexpr std::string_view top_actions =
  "SELECT action, sum(n) FROM rollup_count WHERE " PHI_SLOTS
  " AND action <> '' GROUP BY action ORDER BY 2 DESC, 1 LIMIT $4";

inline constexpr std::string_view top_statuses =
  "SELECT CAST(status AS TEXT), sum(n) FROM rollup_status WHERE " PHI_SLOTS
  " GROUP BY status ORDER BY 2 DESC, 1 LIMIT $4";

inline constexpr std::string_view top_instances =
  "SELECT instance, sum(n) FROM rollup_instance WHERE " PHI_SLOTS
  " GROUP BY instance ORDER BY 2 DESC, 1 LIMIT $4";

inline constexpr std::string_view latency_buckets =
  "SELECT bucket, sum(n) FROM rollup_latency WHERE " PHI_SLOTS " GROUP BY bucket ORDER BY bucket";

// -- users and addresses: $1 first day, $2 last day (whole UTC days), $3 feature,
//    $4 $5 low and high slots of the first day, $6 $7 of the last --------------------------------

#define PHI_ACTIVE                                                                                 \
  "day >= $1 AND day <= $2"                                                                        \
  " AND (day > $1 OR (slots_low & $4) <> 0 OR (slots_high & $5) <> 0)"                             \
  " AND (day < $2 OR (slots_low & $6) <> 0 OR (slots_high & $7) <> 0)"

inline constexpr std::string_view users_by_feature =
  "SELECT feature, count(DISTINCT user_hash) FROM rollup_user WHERE " PHI_ACTIVE
  " AND ($3 IS NULL OR feature = $3) GROUP BY feature";

inline constexpr std::string_view users_by_kind =
  "SELECT user_kind, count(DISTINCT user_hash) FROM rollup_user WHERE " PHI_ACTIVE
  " AND ($3 IS NULL OR feature = $3) GROUP BY user_kind ORDER BY 2 DESC, 1";

inline constexpr std::string_view users_total =
  "SELECT count(DISTINCT user_hash) FROM rollup_user WHERE " PHI_ACTIVE
  " AND ($3 IS NULL OR feature = $3)";

inline constexpr std::string_view addresses_total =
  "SELECT count(DISTINCT address_hash) FROM rollup_address WHERE " PHI_ACTIVE;

#undef PHI_SLOTS
#undef PHI_SLOTS_ROUTES
#undef PHI_ACTIVE

} // namespace phi::statistics::sql
