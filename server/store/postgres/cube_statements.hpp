#pragma once
/// The SQL of cubes, of rows that no cube holds, and of the roll-ups that were there before.

#include "protocol/own_request.hpp"
#include "server/statistics/statements.hpp"

#include <string_view>

namespace phi::store::postgres_sql {

// -- cubes --------------------------------------------------------------------------------------

/// Whoever writes cubes has this lock; it gives the last number of a cube.
inline constexpr const char* counted_for_update = "SELECT last_cube FROM counted FOR UPDATE";
inline constexpr const char* store_last_cube = "UPDATE counted SET last_cube = $1";

/// Events, lines, and the age of the oldest in ms; and lines of an earlier schema's rows.
inline constexpr const char* tail_size =
  "SELECT coalesce(sum(events) FILTER (WHERE tx IS NOT NULL), 0), count(tx),"
  " coalesce(extract(epoch FROM now() - min(at) FILTER (WHERE tx IS NOT NULL)) * 1000, 0)::int8,"
  " count(*) - count(tx) FROM uncounted";

#define PHI_UNCOUNTED "SELECT id, tx, first_seq, last_seq, first_us, last_us, events FROM uncounted"
inline constexpr const char* uncounted = PHI_UNCOUNTED " ORDER BY first_seq, id";
/// $1 lines: the oldest.
inline constexpr const char* oldest_uncounted =
  PHI_UNCOUNTED " WHERE tx IS NOT NULL ORDER BY id LIMIT $1";
/// One of rows of an earlier schema.
inline constexpr const char* earlier_uncounted =
  PHI_UNCOUNTED " WHERE tx IS NULL ORDER BY id LIMIT 1";
#undef PHI_UNCOUNTED

inline constexpr const char* remove_uncounted = "DELETE FROM uncounted WHERE id = ANY($1::int8[])";
/// $1 line, $2 the first number that is left.
inline constexpr const char* shorten_uncounted =
  "UPDATE uncounted SET first_seq = $2 WHERE id = $1";

/// What is counted of a row.
#define PHI_COUNTED                                                                                \
  "e.time_us, e.feature, e.action, e.route, e.method, e.status::int8, e.duration_us, e.user_hash," \
  " e.user_kind, e.address_hash, e.instance FROM event AS e"
#define PHI_WITHIN " e.seq >= $1 AND e.seq <= $2 AND e.time_us >= $3 AND e.time_us <= $4"

/// $1 $2 numbers, $3 $4 times; $5 $6 $7 transactions and the numbers of their rows.
inline constexpr const char* rows_of_transactions =
  "SELECT " PHI_COUNTED " JOIN unnest($5::int8[], $6::int8[], $7::int8[]) AS u(tx, first, last)"
  " ON e.tx = u.tx AND e.seq >= u.first AND e.seq <= u.last WHERE" PHI_WITHIN;
/// The same of rows of an earlier schema.
inline constexpr const char* rows_without_transaction =
  "SELECT " PHI_COUNTED " WHERE e.tx IS NULL AND" PHI_WITHIN;

/// Whether cubes hold the row.
#define PHI_IS_COUNTED                                                                             \
  " NOT EXISTS (SELECT FROM uncounted AS u WHERE u.tx IS NOT DISTINCT FROM e.tx"                   \
  " AND e.seq >= u.first_seq AND e.seq <= u.last_seq"                                              \
  " AND e.time_us >= u.first_us AND e.time_us <= u.last_us)"
/// $1 $2 times, half-open.
inline constexpr const char* counted_rows_of_day =
  "SELECT " PHI_COUNTED " WHERE e.time_us >= $1 AND e.time_us < $2 AND" PHI_IS_COUNTED;

/// What cubes should say of a day: events of users, durations, statuses. $1 $2 times, half-open.
inline constexpr const char* counts_of_day =
  "SELECT count(*), count(duration_us), count(nullif(status, 0)) FROM event AS e"
  " WHERE time_us >= $1 AND time_us < $2 AND action IS DISTINCT FROM '" PHI_OWN_REQUEST
  "' AND" PHI_IS_COUNTED;

/// $1 time, $2 rows.
inline constexpr const char* prune_other_events =
  "DELETE FROM event_other WHERE ctid IN (SELECT ctid FROM event_other AS e WHERE time_us < $1"
  " AND" PHI_IS_COUNTED " LIMIT $2)";
#undef PHI_COUNTED
#undef PHI_WITHIN
#undef PHI_IS_COUNTED

/// $1 time: rows before it that no cube holds yet.
inline constexpr const char* uncounted_before =
  "SELECT EXISTS (SELECT FROM uncounted WHERE first_us < $1)";

/// What cubes should say of all rows from a day on ($1).
inline constexpr std::string_view sums_of_rows =
  "SELECT count(*), count(*) FILTER (WHERE status >= 400), count(nullif(status, 0)),"
  " count(instance), count(duration_us)," PHI_WIDE_SUM(
    "duration_us") ","
                   " count(DISTINCT left(user_hash, 16)), (SELECT count(DISTINCT "
                   "left(address_hash, 16))"
                   " FROM event WHERE time_us >= $1 * 86400000000)"
                   " FROM event WHERE time_us >= $1 * 86400000000 AND action IS DISTINCT FROM "
                   "'" PHI_OWN_REQUEST "'";

/// All, or those of a range of ids, $1 and $2, half-open.
inline constexpr const char* list_cubes =
  "SELECT id, level::int8, octet_length(body)::int8 FROM cube ORDER BY id";
inline constexpr const char* ids_of_days =
  "SELECT id FROM cube WHERE id >= $1 AND id < $2 ORDER BY id";
inline constexpr const char* cube_bodies =
  "SELECT id, body FROM cube WHERE id = ANY($1::int8[]) ORDER BY id";
inline constexpr const char* add_cube = "INSERT INTO cube VALUES ($1, $2, $3)";
inline constexpr const char* delete_cubes = "DELETE FROM cube WHERE id = ANY($1::int8[])";

// -- the counts of an earlier schema -----------------------------------------------------------

/// Days with roll-ups whose rows are gone, or some of them.
inline constexpr const char* days_without_rows =
  "WITH counted AS (SELECT day, sum(n) AS n FROM"
  " (SELECT floor(slot / 96.0)::int8 AS day, n FROM rollup_count"
  " UNION ALL SELECT day, 0 FROM rollup_address) AS of_all GROUP BY day),"
  " kept AS (SELECT floor(time_us / 86400000000.0)::int8 AS day, count(*) AS n FROM event"
  " WHERE action IS DISTINCT FROM '" PHI_OWN_REQUEST "' GROUP BY 1)"
  " SELECT counted.day FROM counted LEFT JOIN kept ON kept.day = counted.day"
  " WHERE counted.n > coalesce(kept.n, 0)"
  " OR counted.day < (SELECT value FROM state WHERE name = 'raw_from_day') ORDER BY 1";

/// $1 $2 times, half-open.
inline constexpr const char* add_earlier_rows =
  "INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events)"
  " SELECT NULL, min(seq), max(seq), min(time_us), max(time_us), count(*) FROM event"
  " WHERE time_us >= $1 AND time_us < $2 HAVING count(*) > 0";

#define PHI_SLOTS " WHERE slot >= $1 AND slot < $2"
inline constexpr const char* earlier_counts =
  "SELECT slot, feature, action, route, method, class, sum(n), min(first_us), max(last_us),"
  " sum(timed)," PHI_WIDE_SUM("sum_us") ", coalesce(min(min_us), 0), coalesce(max(max_us), 0)"
                                        " FROM rollup_count" PHI_SLOTS
                                        " GROUP BY slot, feature, action, route, method, class";
inline constexpr const char* earlier_statuses =
  "SELECT slot, feature, status, sum(n) FROM rollup_status" PHI_SLOTS " GROUP BY 1, 2, 3";
inline constexpr const char* earlier_latencies =
  "SELECT slot, feature, route, method, bucket, sum(n) FROM rollup_latency" PHI_SLOTS
  " GROUP BY 1, 2, 3, 4, 5";
inline constexpr const char* earlier_instances =
  "SELECT slot, feature, instance, sum(n) FROM rollup_instance" PHI_SLOTS " GROUP BY 1, 2, 3";
#undef PHI_SLOTS
inline constexpr const char* earlier_users =
  "SELECT feature, user_hash, user_kind, bit_or(slots_low), bit_or(slots_high) FROM rollup_user"
  " WHERE day = $1 GROUP BY 1, 2, 3";
inline constexpr const char* earlier_addresses =
  "SELECT address_hash, bit_or(slots_low), bit_or(slots_high) FROM rollup_address WHERE day = $1"
  " GROUP BY 1";

inline constexpr const char* drop_rollups =
  "DROP TABLE rollup_count, rollup_status, rollup_instance, rollup_latency, rollup_user,"
  " rollup_address";

} // namespace phi::store::postgres_sql
