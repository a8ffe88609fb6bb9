#pragma once
/// The SQL of cubes, of rows that no cube holds, and of the roll-ups that were there before.

#include "protocol/own_request.hpp"
#include "server/statistics/statements.hpp"

#include <string_view>

namespace phi::store::postgres_sql {

// -- cubes --------------------------------------------------------------------------------------

/// Whoever writes cubes has this lock; it gives the last number of a cube, which transaction wrote
/// this row, and the day up to which roll-ups are taken over.
inline constexpr const char* counted_for_update =
  "SELECT last_cube, xmin::text::int8, taken_over_to FROM counted FOR UPDATE";
inline constexpr const char* store_last_cube = "UPDATE counted SET last_cube = $1";
inline constexpr const char* takes_over = "SELECT taken_over_to IS NOT NULL FROM counted";

#define PHI_LINES " FROM uncounted WHERE id >= coalesce((SELECT first_line FROM counted), 0)"
/// Events, lines, and the age of the oldest in ms; lines of an earlier schema's rows; the last id
/// that a line was given, 0 where the role may not see it (INSERT needs no right on the sequence);
/// and whether roll-ups are to be taken over.
inline constexpr const char* tail_size =
  "SELECT coalesce(sum(events) FILTER (WHERE tx IS NOT NULL), 0), count(tx),"
  " coalesce(extract(epoch FROM now() - min(at) FILTER (WHERE tx IS NOT NULL)) * 1000, 0)::int8,"
  " count(*) - count(tx), coalesce(CASE WHEN"
  " has_sequence_privilege(pg_get_serial_sequence('uncounted', 'id'), 'USAGE, SELECT') THEN"
  " pg_sequence_last_value(pg_get_serial_sequence('uncounted', 'id')::regclass) END, 0),"
  " (SELECT taken_over_to IS NOT NULL FROM counted)" PHI_LINES;

#define PHI_UNCOUNTED "SELECT id, tx, first_seq, last_seq, first_us, last_us, events" PHI_LINES
inline constexpr const char* uncounted = PHI_UNCOUNTED " ORDER BY first_seq, id";
/// $1 lines: the oldest.
inline constexpr const char* oldest_uncounted =
  PHI_UNCOUNTED " AND tx IS NOT NULL ORDER BY id LIMIT $1";
/// One of rows of an earlier schema.
inline constexpr const char* earlier_uncounted =
  PHI_UNCOUNTED " AND tx IS NULL ORDER BY id LIMIT 1";
#undef PHI_UNCOUNTED

/// The oldest transaction that may still write, and our own, both of which go on counting where
/// `xmin` begins anew.
inline constexpr const char* oldest_writer = "SELECT txid_snapshot_xmin(txid_current_snapshot())";
inline constexpr const char* own_transaction = "SELECT txid_current()";
/// $1: up to this id all lines are there that will ever be; those that are left stay in sight.
inline constexpr const char* move_first_line =
  "UPDATE counted SET first_line = greatest(first_line,"
  " coalesce((SELECT min(id)" PHI_LINES " AND id <= $1), $1 + 1))";

inline constexpr const char* uncounted_bytes = "SELECT pg_total_relation_size('uncounted')";
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

/// Whether cubes hold the row, whose time is from `begin` up to `end`. One equality, which NULL
/// fits too: else each row is held against each line.
#define PHI_IS_COUNTED(begin, end)                                                                 \
  " NOT EXISTS (SELECT" PHI_LINES " AND last_us >= " begin " AND first_us < " end                  \
  " AND coalesce(uncounted.tx, -1) = coalesce(e.tx, -1)"                                           \
  " AND e.seq >= first_seq AND e.seq <= last_seq AND e.time_us >= first_us"                        \
  " AND e.time_us <= last_us)"
/// $1 $2 times, half-open.
inline constexpr const char* counted_rows_of_day =
  "SELECT " PHI_COUNTED " WHERE e.time_us >= $1 AND e.time_us < $2 AND" PHI_IS_COUNTED("$1", "$2");

/// What cubes should say of a day: events of users, their durations and statuses; events of all.
/// $1 $2 times, half-open.
inline constexpr const char* counts_of_day =
  "SELECT count(*) FILTER (WHERE of_user), count(duration_us) FILTER (WHERE of_user),"
  " count(nullif(status, 0)) FILTER (WHERE of_user), count(*) FROM (SELECT duration_us, status,"
  " action IS DISTINCT FROM '" PHI_OWN_REQUEST "' AS of_user FROM event AS e"
  " WHERE time_us >= $1 AND time_us < $2 AND" PHI_IS_COUNTED("$1", "$2") ") AS counted_rows";

/// The time of the oldest row before $1 that cubes hold.
inline constexpr const char* oldest_other_event =
  "SELECT time_us FROM event_other_day AS e WHERE time_us < $1"
  " AND" PHI_IS_COUNTED("-9223372036854775808", "$1") " ORDER BY time_us LIMIT 1";
/// From day to day by the index, not from row to row.
inline constexpr const char* days_of_other_events =
  "WITH RECURSIVE found(day) AS (SELECT min(time_us) / 86400000000 FROM event_other_day UNION ALL"
  " SELECT (SELECT min(time_us) / 86400000000 FROM event_other_day"
  " WHERE time_us >= (found.day + 1) * 86400000000) FROM found WHERE found.day IS NOT NULL)"
  " SELECT day FROM found WHERE day IS NOT NULL";
/// $1 $2 times, half-open, $3 rows.
inline constexpr const char* prune_other_events =
  "DELETE FROM event_other_day WHERE ctid = ANY(ARRAY(SELECT ctid FROM event_other_day AS e"
  " WHERE time_us >= $1 AND time_us < $2 AND" PHI_IS_COUNTED("$1", "$2") " LIMIT $3))";
#undef PHI_COUNTED
#undef PHI_WITHIN
#undef PHI_IS_COUNTED

/// $1 time: rows before it that no cube holds yet.
inline constexpr const char* uncounted_before =
  "SELECT EXISTS (SELECT" PHI_LINES " AND first_us < $1)";
#undef PHI_LINES

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
inline constexpr const char* cubes_of_range =
  "SELECT id, stamp, events, octet_length(body)::int8 FROM cube WHERE id >= $1 AND id < $2"
  " ORDER BY id";
inline constexpr const char* cube_bodies =
  "SELECT id, body FROM cube WHERE id = ANY($1::int8[]) ORDER BY id";
inline constexpr const char* days_with_cubes = "SELECT DISTINCT (id >> 32)::int8 FROM cube";
inline constexpr const char* add_cube =
  "INSERT INTO cube(id, level, events, stamp, body) VALUES ($1, $2, $3, $4, $5)";
inline constexpr const char* delete_cubes = "DELETE FROM cube WHERE id = ANY($1::int8[])";

// -- the counts of an earlier schema -----------------------------------------------------------

/// Partitions by the names that they had.
inline constexpr const char* earlier_partitions =
  "SELECT c.oid::regclass::text, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
  " WHERE i.inhparent = to_regclass('event') AND c.relname ~ '^event_[0-9]{8}$'";
inline constexpr const char* no_earlier_counts =
  "SELECT NOT EXISTS (SELECT FROM earlier_count) AND NOT EXISTS (SELECT FROM earlier_address)";
/// The rows that are there: a line for all of them.
inline constexpr const char* add_earlier_rows =
  "INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events)"
  " SELECT NULL, low, high, -9223372036854775808, 9223372036854775807, 0"
  " FROM (SELECT min(seq) AS low, max(seq) AS high FROM event) AS t WHERE low IS NOT NULL";

/// The first day with roll-ups from $1 on; NULL: none.
inline constexpr const char* next_earlier_day =
  "SELECT least((SELECT floor(min(slot) / 96.0)::int8 FROM earlier_count WHERE slot >= $1 * 96),"
  " (SELECT min(day) FROM earlier_address WHERE day >= $1))";
/// Whether rows of a day are gone, or some of them: $1 the day, $2 $3 its times, half-open.
inline constexpr const char* rows_are_missing =
  "SELECT (SELECT coalesce(sum(n), 0) FROM earlier_count WHERE slot >= $1 * 96"
  " AND slot < ($1 + 1) * 96) > (SELECT count(*) FROM event WHERE time_us >= $2 AND time_us < $3"
  " AND tx IS NULL AND action IS DISTINCT FROM '" PHI_OWN_REQUEST "')"
  " OR $1 < (SELECT value FROM about WHERE name = 'raw_from_day')";
/// The line of rows of an earlier schema that reaches over a day, whose times are $1 $2, half-open:
/// its id and its first time.
inline constexpr const char* earlier_line_over =
  "SELECT id, first_us FROM uncounted WHERE tx IS NULL AND first_us <= $1 AND last_us >= $2";
/// A line $1 has no more to do with the rows before $3: another has those from $2 on, if there are
/// any.
inline constexpr const char* split_earlier_line =
  "INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events)"
  " SELECT NULL, first_seq, last_seq, first_us, $3::int8 - 1, 0 FROM uncounted WHERE id = $1"
  " AND EXISTS (SELECT FROM event WHERE time_us >= $2 AND time_us < $3 AND tx IS NULL)";
inline constexpr const char* move_earlier_line = "UPDATE uncounted SET first_us = $2 WHERE id = $1";
/// $1 day: of those before it the roll-ups are taken over.
inline constexpr const char* store_taken_over = "UPDATE counted SET taken_over_to = $1";
inline constexpr const char* store_all_taken_over = "UPDATE counted SET taken_over_to = NULL";

#define PHI_SLOTS " WHERE slot >= $1 AND slot < $2"
inline constexpr const char* earlier_counts =
  "SELECT slot, feature, action, route, method, class, sum(n), min(first_us), max(last_us),"
  " sum(timed)," PHI_WIDE_SUM("sum_us") ", coalesce(min(min_us), 0), coalesce(max(max_us), 0)"
                                        " FROM earlier_count" PHI_SLOTS
                                        " GROUP BY slot, feature, action, route, method, class";
inline constexpr const char* earlier_statuses =
  "SELECT slot, feature, status, sum(n) FROM earlier_status" PHI_SLOTS " GROUP BY 1, 2, 3";
inline constexpr const char* earlier_latencies =
  "SELECT slot, feature, route, method, bucket, sum(n) FROM earlier_latency" PHI_SLOTS
  " GROUP BY 1, 2, 3, 4, 5";
inline constexpr const char* earlier_instances =
  "SELECT slot, feature, instance, sum(n) FROM earlier_instance" PHI_SLOTS " GROUP BY 1, 2, 3";
#undef PHI_SLOTS
inline constexpr const char* earlier_users =
  "SELECT feature, user_hash, user_kind, bit_or(slots_low), bit_or(slots_high) FROM earlier_user"
  " WHERE day = $1 GROUP BY 1, 2, 3";
inline constexpr const char* earlier_addresses =
  "SELECT address_hash, bit_or(slots_low), bit_or(slots_high) FROM earlier_address WHERE day = $1"
  " GROUP BY 1";

/// Whether roll-ups that are taken over are still there.
inline constexpr const char* rollups_are_left =
  "SELECT to_regclass('earlier_count') IS NOT NULL AND taken_over_to IS NULL FROM counted";
inline constexpr const char* drop_rollups =
  "DROP TABLE earlier_count, earlier_status, earlier_instance, earlier_latency, earlier_user,"
  " earlier_address";

} // namespace phi::store::postgres_sql
