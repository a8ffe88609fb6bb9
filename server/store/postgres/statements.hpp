#pragma once
/// The SQL of PostgreSQL that is more than a line; what an operator asks of both databases is in
/// server/statistics.
///
/// Texts compare byte by byte (COLLATE "C"), so that both databases give the same order.

#include <string>

namespace phi::store::postgres_sql {

// -- schema -------------------------------------------------------------------------------------

struct migration {
  const char* purpose; ///< for the plan
  const char* sql;
  int oldest_program; ///< programs that know this schema version or a later one can run on it
};

/// Migration N brings the schema from version N-1 to N.
/// What somebody has deferred to COMMIT is checked before it: then it is about an event, and the
/// outcome is not in doubt.
inline constexpr const char* check_now = "SET CONSTRAINTS ALL IMMEDIATE";

inline constexpr migration migrations[] = {
  {"tables of events, identities, batches and roll-ups", R"(
CREATE TABLE event (
  seq          bigint GENERATED ALWAYS AS IDENTITY,
  time_us      bigint NOT NULL,
  identity     uuid NOT NULL,
  feature      text COLLATE "C",
  action       text COLLATE "C",
  route        text COLLATE "C",
  method       text COLLATE "C",
  status       integer,
  duration_us  bigint,
  user_hash    text COLLATE "C",
  user_kind    text COLLATE "C",
  address_hash text COLLATE "C",
  instance     text COLLATE "C",
  extra        text COLLATE "C"
) PARTITION BY RANGE (time_us);
CREATE TABLE event_other PARTITION OF event DEFAULT;
CREATE INDEX event_seq ON event (seq);

CREATE TABLE identity (
  digest uuid PRIMARY KEY,
  day    integer NOT NULL
);
CREATE INDEX identity_day ON identity USING brin (day);

CREATE TABLE batch (
  id         uuid PRIMARY KEY,
  writer     text COLLATE "C" NOT NULL,
  at         timestamptz NOT NULL DEFAULT now(),
  stored     bigint NOT NULL,
  duplicates bigint NOT NULL
);
CREATE INDEX batch_at ON batch USING brin (at);

CREATE TABLE rollup_count (
  slot     bigint NOT NULL,
  feature  text COLLATE "C" NOT NULL,
  action   text COLLATE "C" NOT NULL,
  route    text COLLATE "C" NOT NULL,
  method   text COLLATE "C" NOT NULL,
  class    bigint NOT NULL,
  writer   text COLLATE "C" NOT NULL,
  n        bigint NOT NULL,
  errors   bigint NOT NULL,
  first_us bigint NOT NULL,
  last_us  bigint NOT NULL,
  timed    bigint NOT NULL,
  sum_us   bigint NOT NULL,
  min_us   bigint,
  max_us   bigint,
  PRIMARY KEY (slot, feature, action, route, method, class, writer)
) WITH (fillfactor = 70);

CREATE TABLE rollup_status (
  slot    bigint NOT NULL,
  feature text COLLATE "C" NOT NULL,
  status  bigint NOT NULL,
  writer  text COLLATE "C" NOT NULL,
  n       bigint NOT NULL,
  PRIMARY KEY (slot, feature, status, writer)
) WITH (fillfactor = 70);

CREATE TABLE rollup_instance (
  slot     bigint NOT NULL,
  feature  text COLLATE "C" NOT NULL,
  instance text COLLATE "C" NOT NULL,
  writer   text COLLATE "C" NOT NULL,
  n        bigint NOT NULL,
  PRIMARY KEY (slot, feature, instance, writer)
) WITH (fillfactor = 70);

CREATE TABLE rollup_latency (
  slot    bigint NOT NULL,
  feature text COLLATE "C" NOT NULL,
  route   text COLLATE "C" NOT NULL,
  method  text COLLATE "C" NOT NULL,
  bucket  bigint NOT NULL,
  writer  text COLLATE "C" NOT NULL,
  n       bigint NOT NULL,
  PRIMARY KEY (slot, feature, route, method, bucket, writer)
) WITH (fillfactor = 70);

CREATE TABLE rollup_user (
  day        bigint NOT NULL,
  feature    text COLLATE "C" NOT NULL,
  user_hash  text COLLATE "C" NOT NULL,
  user_kind  text COLLATE "C" NOT NULL,
  writer     text COLLATE "C" NOT NULL,
  slots_low  bigint NOT NULL,
  slots_high bigint NOT NULL,
  PRIMARY KEY (day, feature, user_hash, user_kind, writer)
) WITH (fillfactor = 70);

CREATE TABLE rollup_address (
  day          bigint NOT NULL,
  address_hash text COLLATE "C" NOT NULL,
  writer       text COLLATE "C" NOT NULL,
  slots_low    bigint NOT NULL,
  slots_high   bigint NOT NULL,
  PRIMARY KEY (day, address_hash, writer)
) WITH (fillfactor = 70);

CREATE TABLE instance (
  name         text COLLATE "C" PRIMARY KEY,
  version      text NOT NULL,
  state        text NOT NULL,
  started_at   timestamptz NOT NULL,
  lease_until  timestamptz NOT NULL,
  last_commit  timestamptz,
  spooled      bigint NOT NULL DEFAULT 0,
  wanted       text NOT NULL DEFAULT ''
);

CREATE TABLE duty (
  name   text COLLATE "C" PRIMARY KEY,
  holder text COLLATE "C" NOT NULL,
  since  timestamptz NOT NULL DEFAULT now(),
  until  timestamptz
);

CREATE TABLE state (
  name  text COLLATE "C" PRIMARY KEY,
  value bigint NOT NULL
);
INSERT INTO state VALUES ('raw_from_day', -1000000);
)",
   1},
  {"which process has an instance's name; indexes for retention", R"(
ALTER TABLE instance
  ADD COLUMN run     bigint NOT NULL DEFAULT 0,
  ADD COLUMN host    text NOT NULL DEFAULT '',
  ADD COLUMN pid     bigint NOT NULL DEFAULT 0,
  ADD COLUMN process text NOT NULL DEFAULT '';
CREATE INDEX event_other_time ON event_other (time_us);
DROP INDEX identity_day;
CREATE INDEX identity_day ON identity (day);
)",
   1},
  {"cubes instead of roll-ups, made of the rows that are there", R"(
-- Which transaction wrote a row; NULL: one of an earlier schema.
ALTER TABLE event ADD COLUMN tx bigint;
ALTER TABLE event ALTER COLUMN tx SET DEFAULT txid_current();

-- An instance of an earlier version that is still connected would go on with roll-ups, and drop
-- rows that are not counted yet. So the names that its statements use are given up (those of the
-- partitions too), and the duty that it may have is nobody's any more: it fails, and does nothing.
ALTER TABLE event_other RENAME TO event_other_day;
ALTER TABLE rollup_count RENAME TO earlier_count;
ALTER TABLE rollup_status RENAME TO earlier_status;
ALTER TABLE rollup_instance RENAME TO earlier_instance;
ALTER TABLE rollup_latency RENAME TO earlier_latency;
ALTER TABLE rollup_user RENAME TO earlier_user;
ALTER TABLE rollup_address RENAME TO earlier_address;
ALTER TABLE state RENAME TO about;
DELETE FROM duty WHERE name = 'maintenance';
ALTER TABLE duty ADD CONSTRAINT duty_of_this_schema CHECK (name <> 'maintenance');

-- Rows that no cube holds yet, a line for each transaction, written by it: those of its number
-- (NULL: those that have none), in these bounds of numbers and of times.
CREATE TABLE uncounted (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tx        bigint,
  first_seq bigint NOT NULL,
  last_seq  bigint NOT NULL,
  first_us  bigint NOT NULL,
  last_us   bigint NOT NULL,
  events    bigint NOT NULL,
  at        timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- id: the day << 32 | a number that is given once; events: what it counts; stamp: random, as a
-- number may be given again where an older dump has taken the place of newer data.
CREATE TABLE cube (
  id     bigint PRIMARY KEY,
  level  integer NOT NULL,
  events bigint NOT NULL,
  stamp  bigint NOT NULL,
  body   bytea NOT NULL
);
ALTER TABLE cube ALTER COLUMN body SET STORAGE EXTERNAL;

-- One row; whoever writes cubes locks it first. first_line: no line with a smaller id is there or
-- will ever be; taken_over_to: of the days before it the roll-ups of an earlier schema are taken
-- over; NULL: of all.
CREATE TABLE counted (
  one           integer PRIMARY KEY CHECK (one = 1),
  last_cube     bigint NOT NULL,
  first_line    bigint NOT NULL,
  taken_over_to bigint
);
INSERT INTO counted VALUES (1, 0, 0, -1000000000);

CREATE VIEW events_by_day AS
SELECT (to_timestamp(time_us / 1000000) AT TIME ZONE 'UTC')::date AS day,
       feature, action, route, method,
       count(*) AS events,
       count(*) FILTER (WHERE status >= 400) AS errors,
       count(DISTINCT user_hash) AS users,
       avg(duration_us) / 1000 AS mean_ms,
       max(duration_us) / 1000.0 AS max_ms
FROM event WHERE action IS DISTINCT FROM 'phi:request'
GROUP BY 1, 2, 3, 4, 5;
)",
   3},
};

/// The schema whose counts are roll-ups, which are taken over.
inline constexpr int last_with_rollups = 2;

/// Who has had a lock for longest that a migration may wait for: process, name, since when.
inline constexpr const char* holder_of_locks =
  "SELECT a.pid, coalesce(a.application_name, ''),"
  " coalesce((extract(epoch FROM now() - a.xact_start))::int8, 0)"
  " FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
  " WHERE l.granted AND l.pid <> pg_backend_pid()"
  " AND ((l.locktype = 'advisory' AND l.classid = 1349019953 AND l.objid = 1)"
  " OR l.relation IN (SELECT oid FROM pg_class WHERE relnamespace ="
  " (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('phi_schema'))"
  " AND relname ~ '^(event|identity|rollup_|duty|state|instance)'))"
  " ORDER BY a.xact_start LIMIT 1";

/// The lock of migrations and partitions: "Phi1" and a number.
inline constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(1349019953, 1)";

inline constexpr const char* create_schema_table =
  "CREATE TABLE IF NOT EXISTS phi_schema (version integer PRIMARY KEY, oldest_program integer NOT"
  " NULL, applied_at timestamptz NOT NULL DEFAULT now())";
inline constexpr const char* schema_table_is_there =
  "SELECT to_regclass('phi_schema') IS NOT NULL AND to_regclass('event') IS NOT NULL";
inline constexpr const char* schema_version =
  "SELECT coalesce(max(version), 0), coalesce(max(oldest_program), 0) FROM phi_schema";
inline constexpr const char* add_schema_version =
  "INSERT INTO phi_schema(version, oldest_program) VALUES ($1, $2)";

// -- which database this is ---------------------------------------------------------------------

/// $1 a random number. Of several instances that come at once the first gives the id.
inline constexpr const char* make_id =
  "INSERT INTO about VALUES ('database_id', $1) ON CONFLICT (name) DO NOTHING";
/// A dump has the number, but where it is restored the table is another one.
inline constexpr const char* read_id =
  "SELECT value, 'about'::regclass::oid::int8 FROM about WHERE name = 'database_id'";

// -- partitions: one a UTC day ------------------------------------------------------------------

inline constexpr const char* partitions =
  "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
  " WHERE i.inhparent = to_regclass('event') AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}_[0-9]{2}$' "
  "ORDER BY 1";

// -- writing ------------------------------------------------------------------------------------

/// For the present transaction, all in ms: $1 how long a statement may take, $2 how long we may be
/// silent, $3 how long it waits for a lock (0: as long).
inline constexpr const char* limit_transaction =
  "SELECT set_config('statement_timeout', $1, true),"
  " set_config('idle_in_transaction_session_timeout', $2, true),"
  " set_config('lock_timeout', $3, true)";

/// Role and database may say otherwise; what waits longer than "on" stays.
inline constexpr const char* commit_durably =
  "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
  " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)";

inline constexpr const char* batch_outcomes =
  "SELECT id, stored::int8, duplicates::int8 FROM batch WHERE id = ANY($1::uuid[])";

/// Those of $1 that are there.
inline constexpr const char* present_identities =
  "SELECT digest FROM identity WHERE digest = ANY($1::uuid[])";

/// Gives the digests that were not there yet. In order, so that two instances with the same ids
/// wait for each other in one direction only. They age from the later of the event's day and today:
/// an old event that is sent again tomorrow is still known.
inline constexpr const char* add_identities =
  "INSERT INTO identity(digest, day) SELECT digest,"
  " greatest(day, floor(extract(epoch FROM now()) / 86400)::int4)"
  " FROM unnest($1::uuid[], $2::int4[]) AS t(digest, day)"
  " ORDER BY digest ON CONFLICT DO NOTHING RETURNING digest";

inline constexpr const char* add_events =
  "INSERT INTO event(time_us, identity, feature, action, route, method, status, duration_us,"
  " user_hash, user_kind, address_hash, instance, extra)"
  " SELECT * FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],"
  " $7::int4[], $8::int8[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])";

inline constexpr const char* copy_events =
  "COPY event(time_us, identity, feature, action, route, method, status, duration_us, user_hash,"
  " user_kind, address_hash, instance, extra) FROM STDIN (FORMAT binary)";

/// The last number that a row was given; not more than the rows of this transaction will have.
inline constexpr const char* last_number =
  "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('event', 'seq')::regclass), 0)";

/// $1 a number before the first row of this transaction, $2 $3 times, $4 rows.
inline constexpr const char* add_uncounted =
  "INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events) VALUES"
  " (txid_current(), $1, currval(pg_get_serial_sequence('event', 'seq')), $2, $3, $4)";

/// What was found by its id may have been committed without the waiting that durability wants, as
/// when a standby hung. Our own COMMIT of anything waits for all before it.
inline constexpr const char* confirm_batches =
  "UPDATE batch SET writer = writer WHERE id = ANY($1::uuid[])";

inline constexpr const char* add_batches =
  "INSERT INTO batch(id, stored, duplicates, writer)"
  " SELECT *, $4 FROM unnest($1::uuid[], $2::int8[], $3::int8[])";

// -- the cluster --------------------------------------------------------------------------------

/// $1 name, $2 version, $3 lease in ms, $4 run, $5 host, $6 pid, $7 process, $8 a run that is known
/// to be over. A row: the name is this run's.
inline constexpr const char* take_name =
  "INSERT INTO instance AS i (name, version, state, started_at, lease_until, run, host, pid,"
  " process) VALUES ($1, $2, 'starting', now(), now() + $3 * interval '1 ms', $4, $5, $6, $7)"
  " ON CONFLICT (name) DO UPDATE SET version = excluded.version,"
  " state = CASE WHEN i.run = $4 THEN i.state ELSE excluded.state END,"
  " started_at = CASE WHEN i.run = $4 THEN i.started_at ELSE excluded.started_at END,"
  " wanted = CASE WHEN i.run = $4 THEN i.wanted ELSE '' END,"
  " lease_until = excluded.lease_until, run = $4, host = $5, pid = $6, process = $7"
  " WHERE i.run = $4 OR i.lease_until <= now() OR i.run = $8 RETURNING 1";

inline constexpr const char* holder_of_name =
  "SELECT run, host, pid, process, (extract(epoch FROM started_at) * 1000000)::int8,"
  " (extract(epoch FROM lease_until) * 1000000)::int8 FROM instance WHERE name = $1";

inline constexpr const char* now_us =
  "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// $1 name, $2 run, $3 state, $4 lease in ms, $5 spooled, $6 committed. A row, if the name is this
/// run's.
inline constexpr const char* beat =
  "UPDATE instance SET state = $3, lease_until = now() + $4 * interval '1 ms',"
  " last_commit = CASE WHEN $6 = 1 THEN now() ELSE last_commit END, spooled = $5"
  " WHERE name = $1 AND run = $2"
  " RETURNING wanted, (extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// A process that stands still in the middle of a transaction holds its locks; the server waits for
/// its next word for ever where no time-out of its own holds, as in the middle of a COPY. A long
/// transaction that is between two of its statements is another thing. $1 ms.
inline constexpr const char* end_silent_sessions =
  "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
  " AND usename = current_user AND application_name LIKE 'phi-backend %'"
  " AND pid <> pg_backend_pid() AND wait_event_type = 'Client'"
  " AND greatest(xact_start, state_change) < now() - $1 * interval '1 ms'"
  " AND xact_start IS NOT NULL";

/// The duty 'maintenance' is that of versions with roll-ups.
#define PHI_MAINTENANCE "'maintenance of cubes'"

/// $1 holder, $2 lease in ms. A row: the duty is the holder's.
inline constexpr const char* take_duty =
  "INSERT INTO duty AS d (name, holder, until) VALUES (" PHI_MAINTENANCE
  ", $1, now() + $2 * interval '1 ms')"
  " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,"
  " since = CASE WHEN d.holder = excluded.holder THEN d.since ELSE now() END"
  " WHERE d.holder = excluded.holder OR d.until < now() RETURNING holder";

inline constexpr const char* leave_duty =
  "DELETE FROM duty WHERE name = " PHI_MAINTENANCE " AND holder = $1 AND EXISTS"
  " (SELECT FROM instance WHERE instance.name = $1 AND run = $2)";

inline constexpr const char* leave_cluster =
  "UPDATE instance SET state = 'stopped', lease_until = now() WHERE name = $1 AND run = $2";

inline constexpr const char* want =
  "UPDATE instance SET wanted = $2 WHERE name = $1 AND lease_until > now()";

inline constexpr const char* forget =
  "DELETE FROM instance WHERE name = $1 AND lease_until <= now()";

// The restart slot is the duty 'turn': versions that share a database must agree on the word.
inline constexpr const char* lock_restart_slot = "SELECT pg_advisory_xact_lock(1349019953, 2)";
inline constexpr const char* restart_slot_of_another =
  "SELECT holder FROM duty WHERE name = 'turn' AND holder <> $1";
inline constexpr const char* others_not_ready =
  "SELECT name, CASE WHEN lease_until > now() THEN state ELSE 'silent' END FROM instance"
  " WHERE name <> $1 AND state <> 'stopped' AND (state <> 'ready' OR lease_until <= now())"
  " ORDER BY name";
inline constexpr const char* enter_restart_slot =
  "INSERT INTO duty(name, holder) VALUES ('turn', $1) ON CONFLICT (name) DO NOTHING";
inline constexpr const char* leave_restart_slot =
  "DELETE FROM duty WHERE name = 'turn' AND holder = $1";

/// For a holder that will not do it itself.
inline constexpr const char* free_restart_slot_of =
  "DELETE FROM duty WHERE name = 'turn' AND holder = $1 AND NOT EXISTS"
  " (SELECT FROM instance WHERE instance.name = $1 AND lease_until > now()) RETURNING 1";
inline constexpr const char* restart_slot_is_of =
  "SELECT 1 FROM duty WHERE name = 'turn' AND holder = $1";

inline constexpr const char* instances =
  "SELECT name, version, CASE WHEN state = 'stopped' OR lease_until > now() THEN state ELSE "
  "'silent' END,"
  " (extract(epoch FROM started_at) * 1000000)::int8,"
  " (extract(epoch FROM last_commit) * 1000000)::int8, spooled,"
  " EXISTS (SELECT FROM duty WHERE duty.name = " PHI_MAINTENANCE " AND holder = instance.name),"
  " EXISTS (SELECT FROM duty WHERE duty.name = 'turn' AND holder = instance.name), wanted"
  " FROM instance ORDER BY name";
#undef PHI_MAINTENANCE

// -- maintenance --------------------------------------------------------------------------------

inline constexpr const char* raw_from_day = "SELECT value FROM about WHERE name = 'raw_from_day'";

/// To compare: $1 the first day whose rows are all there.
#define PHI_ROWS_KEPT "SELECT count(*) FROM event WHERE time_us >= $1 * 86400000000"
inline constexpr const char* rows_kept = PHI_ROWS_KEPT;
inline constexpr const char* rows_with_identity =
  PHI_ROWS_KEPT " AND identity IN (SELECT digest FROM identity)";
#undef PHI_ROWS_KEPT

/// What retention remembers: name and value.
inline constexpr const char* retention =
  "SELECT name, value FROM about WHERE name IN ('raw_from_day', 'keep_days', 'moved_at_us',"
  " 'created_us')";
/// Of a database that had no rows before it had this schema: retention may believe the clock.
inline constexpr const char* note_creation =
  "INSERT INTO about VALUES ('created_us', (extract(epoch FROM now()) * 1000000)::int8)";
inline constexpr const char* set_retention =
  "INSERT INTO about SELECT * FROM (VALUES ('raw_from_day', $1::int8), ('keep_days', $2::int8),"
  " ('moved_at_us', $3::int8)) AS t ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// $1 day, $2 rows.
inline constexpr const char* prune_identities =
  "DELETE FROM identity WHERE digest IN (SELECT digest FROM identity WHERE day < $1 LIMIT $2)";
/// $1 days, $2 rows. A batch may come back as long as the spool of its writer holds it: not a day
/// after its commit, where that spool is known to be empty.
inline constexpr const char* prune_batches =
  "DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE at < now() - interval '1 day'"
  " AND (at < now() - $1 * interval '1 day' OR EXISTS (SELECT FROM instance AS i"
  " WHERE i.name = batch.writer AND i.spooled = 0 AND (i.state = 'stopped'"
  " OR i.lease_until > now()))) LIMIT $2)";

} // namespace phi::store::postgres_sql
