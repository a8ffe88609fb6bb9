#pragma once
/// The SQL of the embedded database that is more than a line: schema, rows, cubes, identities.
/// BEGIN, PRAGMA and their like stand where they are run.

#include "protocol/own_request.hpp"

#include <string_view>

namespace phi::store::sql {

// -- schema: migration N brings user_version from N-1 to N --------------------------------------

/// Marks a file as ours ("Phi1").
inline constexpr int application_id = 0x50686931;

inline constexpr const char* migrations[] = {
  R"(
CREATE TABLE event (
  seq          INTEGER PRIMARY KEY,
  time_us      INTEGER NOT NULL,
  identity     BLOB NOT NULL,
  feature      TEXT,
  action       TEXT,
  route        TEXT,
  method       TEXT,
  status       INTEGER,
  duration_us  INTEGER,
  user_hash    TEXT,
  user_kind    TEXT,
  address_hash TEXT,
  instance     TEXT,
  extra        TEXT
) STRICT;

CREATE TABLE identity (
  digest BLOB PRIMARY KEY,
  day    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_count (
  slot     INTEGER NOT NULL,
  feature  TEXT NOT NULL,
  action   TEXT NOT NULL,
  route    TEXT NOT NULL,
  method   TEXT NOT NULL,
  class    INTEGER NOT NULL,
  n        INTEGER NOT NULL,
  errors   INTEGER NOT NULL,
  first_us INTEGER NOT NULL,
  last_us  INTEGER NOT NULL,
  timed    INTEGER NOT NULL,
  sum_us   INTEGER NOT NULL,
  min_us   INTEGER,
  max_us   INTEGER,
  PRIMARY KEY (slot, feature, action, route, method, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_status (
  slot    INTEGER NOT NULL,
  feature TEXT NOT NULL,
  status  INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (slot, feature, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_instance (
  slot     INTEGER NOT NULL,
  feature  TEXT NOT NULL,
  instance TEXT NOT NULL,
  n        INTEGER NOT NULL,
  PRIMARY KEY (slot, feature, instance)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_latency (
  slot    INTEGER NOT NULL,
  feature TEXT NOT NULL,
  route   TEXT NOT NULL,
  method  TEXT NOT NULL,
  bucket  INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (slot, feature, route, method, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_user (
  day        INTEGER NOT NULL,
  feature    TEXT NOT NULL,
  user_hash  TEXT NOT NULL,
  user_kind  TEXT NOT NULL,
  slots_low  INTEGER NOT NULL,
  slots_high INTEGER NOT NULL,
  PRIMARY KEY (day, feature, user_hash, user_kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_address (
  day          INTEGER NOT NULL,
  address_hash TEXT NOT NULL,
  slots_low    INTEGER NOT NULL,
  slots_high   INTEGER NOT NULL,
  PRIMARY KEY (day, address_hash)
) STRICT, WITHOUT ROWID;
)",
  // Identities are derived from the rows now: the runs are made from them when it is opened.
  R"(
CREATE TABLE identity_run (
  run      INTEGER PRIMARY KEY,
  level    INTEGER NOT NULL,
  digests  INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  fences   BLOB NOT NULL
) STRICT;

-- id: the run << 32 | the number of the block, or of the first block that the filters are of.
CREATE TABLE identity_block (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE identity_filter (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

DROP TABLE identity;
)",
  // What is counted is derived from the rows as well: cubes are made from them when it is opened,
  // and then the roll-ups go, a part at a time.
  R"(
CREATE TABLE cube (
  id       INTEGER PRIMARY KEY,
  level    INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  body     BLOB NOT NULL
) STRICT;

CREATE TABLE counted (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  last_seq  INTEGER NOT NULL,
  last_cube INTEGER NOT NULL
) STRICT;

INSERT INTO counted(one, last_seq, last_cube) VALUES (1, 0, 0);

-- From which day on rows are kept (NULL: none were deleted), how far that is done, and the number
-- and the sum of the identities whose rows are deleted.
CREATE TABLE kept (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  from_day    INTEGER,
  keep_days   INTEGER NOT NULL,
  moved_at_us INTEGER NOT NULL,
  swept_day   INTEGER NOT NULL,
  next_row    INTEGER NOT NULL,
  deleted     INTEGER NOT NULL,
  deleted_sum INTEGER NOT NULL
) STRICT;

INSERT INTO kept(one, keep_days, moved_at_us, swept_day, next_row, deleted, deleted_sum)
 VALUES (1, 0, 0, 0, 0, 0, 0);
)",
};

// -- rows that cannot be deleted, see dead_rows.hpp ----------------------------------------------

// The table is made when there is one, for older programs need not know it.

inline constexpr const char* create_dead_rows =
  "CREATE TABLE IF NOT EXISTS dead_row (name TEXT NOT NULL, id INTEGER NOT NULL,"
  " PRIMARY KEY (name, id)) STRICT, WITHOUT ROWID";

inline constexpr std::string_view has_dead_rows =
  "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dead_row'";

inline constexpr std::string_view add_dead_row =
  "INSERT OR IGNORE INTO dead_row(name, id) VALUES (?1, ?2)";

inline constexpr std::string_view dead_rows = "SELECT id FROM dead_row WHERE name = ?1";

// -- which database this is: no step of a migration, for older programs need not know it ---------

inline constexpr const char* create_about =
  "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT,"
  " WITHOUT ROWID";
inline constexpr std::string_view make_id =
  "INSERT OR IGNORE INTO about(name, value) VALUES ('database_id', ?1)";
inline constexpr std::string_view read_id = "SELECT value FROM about WHERE name = 'database_id'";
inline constexpr const char* forget_id = "DELETE FROM about WHERE name = 'database_id'";

// -- writing ------------------------------------------------------------------------------------

inline constexpr std::string_view insert_event =
  "INSERT INTO event(seq, time_us, identity, feature, action, route, method, status, duration_us,"
  " user_hash, user_kind, address_hash, instance, extra)"
  " VALUES (?14, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

// -- cubes: derived, see cubes.hpp. Their ids: the UTC day << 32 | a number that is given once ----

inline constexpr std::string_view counted_mark = "SELECT last_seq, last_cube FROM counted";

inline constexpr std::string_view set_counted_mark =
  "UPDATE counted SET last_seq = ?1, last_cube = ?2";

inline constexpr std::string_view all_cubes =
  "SELECT id, level, last_seq, length(body) FROM cube ORDER BY id";

inline constexpr std::string_view cubes_of_days =
  "SELECT id FROM cube WHERE id >= ?1 AND id < ?2 AND last_seq <= ?3 ORDER BY id";

inline constexpr std::string_view cube_body = "SELECT body FROM cube WHERE id = ?1";

inline constexpr std::string_view add_cube =
  "INSERT INTO cube(id, level, last_seq, body) VALUES (?1, ?2, ?3, ?4)";

inline constexpr std::string_view remove_cube = "DELETE FROM cube WHERE id = ?1";

inline constexpr std::string_view last_number_of_cubes = "SELECT max(id & 4294967295) FROM cube";

#define PHI_COUNTED                                                                                \
  "SELECT seq, time_us, feature, action, route, method, status, duration_us, user_hash,"           \
  " user_kind, address_hash, instance FROM event"

inline constexpr std::string_view counted_rows =
  PHI_COUNTED " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3";

inline constexpr std::string_view counted_rows_of_time = PHI_COUNTED
  " WHERE seq >= ?1 AND seq <= ?2 AND time_us >= ?3 AND time_us < ?4 ORDER BY seq LIMIT ?5";

#undef PHI_COUNTED

inline constexpr std::string_view first_row_from = "SELECT min(seq) FROM event WHERE seq >= ?1";

// -- rows that are too old ------------------------------------------------------------------------

inline constexpr std::string_view kept_rows =
  "SELECT from_day, keep_days, moved_at_us, swept_day, next_row, deleted, deleted_sum FROM kept";

inline constexpr std::string_view days_of_cubes = "SELECT DISTINCT id >> 32 FROM cube";

inline constexpr std::string_view times_behind_mark =
  "SELECT time_us FROM event WHERE seq > (SELECT last_seq FROM counted)";

inline constexpr std::string_view any_row = "SELECT 1 FROM event LIMIT 1";

inline constexpr std::string_view set_kept_rows =
  "UPDATE kept SET from_day = ?1, keep_days = ?2, moved_at_us = ?3, swept_day = ?4, next_row = ?5,"
  " deleted = ?6, deleted_sum = ?7";

inline constexpr std::string_view subtract_deleted_identities =
  "UPDATE kept SET deleted = deleted - ?1,"
  " deleted_sum = (deleted_sum - ?2) & 9223372036854775807";

inline constexpr std::string_view identities_before =
  "SELECT identity FROM event WHERE seq >= ?1 AND seq <= ?2 AND time_us < ?3";

inline constexpr std::string_view delete_rows_before =
  "DELETE FROM event WHERE seq >= ?1 AND seq <= ?2 AND time_us < ?3";

inline constexpr std::string_view row_before =
  "SELECT seq FROM event WHERE seq > ?1 AND time_us < ?2 LIMIT 1";

// -- roll-ups of earlier schemas: counted anew, then dropped in steps ----------------------------

inline constexpr int first_without_rollups = 3;

/// Their tables and what each is keyed by.
struct old_table {
  const char* name;
  const char* key;
};
inline constexpr old_table old_rollups[] = {
  {"rollup_count", "slot, feature, action, route, method, class"},
  {"rollup_status", "slot, feature, status"},
  {"rollup_instance", "slot, feature, instance"},
  {"rollup_latency", "slot, feature, route, method, bucket"},
  {"rollup_user", "day, feature, user_hash, user_kind"},
  {"rollup_address", "day, address_hash"},
};

/// Of events: how many the roll-ups have counted, and how many of their rows are there.
inline constexpr std::string_view old_counts =
  "SELECT (SELECT coalesce(sum(n), 0) FROM rollup_count),"
  " (SELECT count(*) FROM event WHERE action IS NOT '" PHI_OWN_REQUEST "')";

// -- identities: derived, see identity_run.hpp. ?1 of those that name a shift: of ids of blocks
// ----

inline constexpr std::string_view identities_after =
  "SELECT seq, identity FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";

inline constexpr std::string_view identity_runs =
  "SELECT run, level, digests, last_seq FROM identity_run ORDER BY run";

inline constexpr std::string_view identity_fences =
  "SELECT fences FROM identity_run WHERE run = ?1";

inline constexpr std::string_view add_identity_run =
  "INSERT INTO identity_run(run, level, digests, last_seq, fences) VALUES (?1, ?2, ?3, ?4, ?5)";

inline constexpr std::string_view remove_identity_run = "DELETE FROM identity_run WHERE run = ?1";

/// A number below 0 says that it is damaged, and -1 less it how many digests it has had.
inline constexpr std::string_view mark_identity_run =
  "UPDATE identity_run SET digests = -1 - digests WHERE run = ?1 AND digests >= 0";

inline constexpr std::string_view next_identity_block =
  "SELECT id FROM identity_block WHERE id >= ?1 ORDER BY id LIMIT 1";

inline constexpr std::string_view next_identity_filters =
  "SELECT id FROM identity_filter WHERE id >= ?1 ORDER BY id LIMIT 1";

// Identities of deleted rows that are known no more, and may be between these two: the table is
// made when some are lost, for older programs need not know it.
inline constexpr const char* create_lost_identities =
  "CREATE TABLE IF NOT EXISTS lost_identity (first BLOB NOT NULL, last BLOB NOT NULL,"
  " before_us INTEGER NOT NULL, identities INTEGER NOT NULL) STRICT";

inline constexpr std::string_view has_lost_identities =
  "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'lost_identity'";

inline constexpr std::string_view lost_identities =
  "SELECT first, last, before_us, identities FROM lost_identity";

inline constexpr std::string_view add_lost_identities =
  "INSERT INTO lost_identity(first, last, before_us, identities) VALUES (?1, ?2, ?3, ?4)";

inline constexpr std::string_view last_identity_run =
  "SELECT max(coalesce((SELECT max(run) FROM identity_run), 0),"
  " coalesce((SELECT max(id) FROM identity_block), 0) >> ?1,"
  " coalesce((SELECT max(id) FROM identity_filter), 0) >> ?1)";

inline constexpr std::string_view identity_block = "SELECT body FROM identity_block WHERE id = ?1";

inline constexpr std::string_view add_identity_block =
  "INSERT INTO identity_block(id, body) VALUES (?1, ?2)";

inline constexpr std::string_view identity_filters =
  "SELECT body FROM identity_filter WHERE id = ?1";

inline constexpr std::string_view add_identity_filters =
  "INSERT INTO identity_filter(id, body) VALUES (?1, ?2)";

inline constexpr std::string_view remove_identity_block =
  "DELETE FROM identity_block WHERE id = ?1";

inline constexpr std::string_view remove_identity_filters =
  "DELETE FROM identity_filter WHERE id = ?1";

} // namespace phi::store::sql
