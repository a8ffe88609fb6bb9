#pragma once
/// Every default, and every internal time-out that more than one file or a test needs, each with
/// its unit and its reason. What concerns one file alone is a constant at its head.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace phi::defaults {

using namespace std::chrono_literals;

inline constexpr int64_t kib = 1024;
inline constexpr int64_t mib = 1024 * kib;

// -- [server] -----------------------------------------------------------------------------------

inline constexpr int64_t port = 3939;                 // the original's
inline constexpr int64_t threads = 1;                 // one event loop serves 50 000 requests/s
inline constexpr int64_t drain_delay_ms = 0;          // only useful behind a load balancer
inline constexpr int64_t keepalive_grace_ms = 100;    // a busy client's next request is on its way
inline constexpr int64_t partial_grace_ms = 1000;     // a half-received request may be completed
inline constexpr int64_t keepalive_timeout_secs = 75; // longer than the 60 s of common proxies
inline constexpr int64_t header_timeout_ms = 10'000;  // slow senders are cut here, with 408
inline constexpr int64_t body_timeout_ms = 30'000;    // 1 MiB at 280 kbit/s
inline constexpr int64_t request_timeout_ms = 20'000; // longer than a busy store (5 s) and a query
inline constexpr int64_t write_timeout_ms = 10'000;   // a client that does not read is cut here
inline constexpr int64_t max_connections = 4096;
inline constexpr int64_t max_uri_bytes = 8 * kib;
inline constexpr int64_t max_header_bytes = 16 * kib;
inline constexpr int64_t max_header_count = 100;
inline constexpr int64_t max_body_bytes = 1 * mib;
inline constexpr int64_t max_expanded_bytes = 8 * mib; // after gzip or zstd
inline constexpr int64_t rate_limit_per_address = 0;   // off: how many are too many is not known
inline constexpr int64_t rate_limit_per_token = 0;
inline constexpr int64_t rate_limit_window_secs = 60;

// -- [stats] ------------------------------------------------------------------------------------

inline constexpr int64_t batch_size = 10'000;     // events a transaction; bounds its time
inline constexpr int64_t flush_interval_ms = 200; // upper bound, not a floor
inline constexpr int64_t queue_max_events = 200'000;
inline constexpr int64_t queue_max_bytes = 256 * mib;
inline constexpr int64_t max_events_per_request = 10'000;
inline constexpr int64_t max_event_bytes = 16 * kib; // the JSON text of one event
inline constexpr int64_t max_text_bytes = 256;       // feature, action, route, instance, ...
inline constexpr int64_t max_extra_bytes = 4 * kib;
inline constexpr int64_t max_future_secs = 300;  // clocks of senders drift
inline constexpr int64_t max_age_days = 3660;    // ten years, for imports
inline constexpr int64_t busy_timeout_ms = 5000; // another process holds the database
inline constexpr int64_t query_timeout_ms = 10'000;
inline constexpr int64_t max_range_days = 366;
inline constexpr int64_t postgres_connect_timeout_secs = 2; // for all hosts together
inline constexpr int64_t retention_hot_days = 180;          // the original's

// -- [spool] ------------------------------------------------------------------------------------

inline constexpr bool spool_enabled = true;
inline constexpr int64_t spool_after_ms = 1000;            // a sender should not notice
inline constexpr int64_t spool_max_bytes = 1024 * mib;     // about 5 million events
inline constexpr int64_t spool_min_free_bytes = 512 * mib; // others live on that disk as well

// -- [shutdown] ---------------------------------------------------------------------------------

inline constexpr int64_t timeout_secs = 30;       // the original's
inline constexpr bool force_quit = true;          // the original's
inline constexpr int64_t force_delay_secs = 10;   // the original's
inline constexpr int64_t start_timeout_secs = 30; // a large WAL is replayed on opening
inline constexpr int64_t restart_limit = 5;       // restarts of children within the window
inline constexpr int64_t restart_window_secs = 60;

// Shares of timeout_secs, in percent; they add up to less than 100 (checked).
inline constexpr int64_t http_budget_percent = 40;
inline constexpr int64_t stats_budget_percent = 25;
inline constexpr int64_t spool_budget_percent = 3;
inline constexpr int64_t membership_budget_percent = 2;
inline constexpr int64_t maintenance_budget_percent = 1;
inline constexpr int64_t store_budget_percent = 15;
inline constexpr int64_t reader_budget_percent = 5;
inline constexpr int64_t admin_budget_percent = 3;
inline constexpr int64_t watchdog_budget_percent = 2;
inline constexpr int64_t signal_budget_percent = 2;

inline constexpr bool watchdog_enabled = false;       // the original's
inline constexpr int64_t watchdog_timeout_secs = 60;  // the original's
inline constexpr int64_t watchdog_interval_secs = 10; // the original's

// -- not configurable ---------------------------------------------------------------------------

/// How long the supervisor waits for a child's `status` before it shows "no answer".
inline constexpr auto status_answer_timeout = 300ms;
/// How long the admin actor and GET /health wait for the whole answer.
inline constexpr auto service_status_timeout = 1000ms;
/// Between two progress lines of a stop.
inline constexpr auto stop_progress_interval = 1000ms;
/// Between two progress lines of a start, and between two looks whether it gets on.
inline constexpr auto start_progress_interval = 5000ms;
inline constexpr auto start_check_interval = 1000ms;
/// What a service manager is asked to wait longer for a start than we do: to say why it failed.
inline constexpr auto start_margin = 5000ms;
/// Between two looks at the state for the status line, while somebody shows it.
inline constexpr auto status_line_interval = 2000ms;
/// How long the admin actor waits for a reload: two in a row, each with an actor that is late.
inline constexpr auto reload_timeout = 10'000ms;
/// How long an actor may take to apply new settings before the reload is called complete without
/// it.
inline constexpr auto apply_timeout = 2000ms;
/// Stop signals that come within this time of one another are one wish: programs that pass a signal
/// on double it within milliseconds, a person needs longer to press again.
inline constexpr auto same_wish = 200ms;
/// We end a stop this long before the service manager would kill it.
inline constexpr auto stop_margin = 1000ms;
/// Between two looks at the health of the whole, whether the watchdog is enabled or not.
inline constexpr auto health_interval = 1000ms;
/// Who does not answer for as long makes the service degraded. A healthy commit is shorter.
inline constexpr auto health_patience = 5000ms;
/// A view of the health that is older counts as none: three looks, and what one may wait.
inline constexpr auto health_stale = 6000ms;
/// Between two requests of our own to the public listener, and how long one may take.
inline constexpr auto probe_interval = 2000ms;
inline constexpr auto probe_timeout = 3000ms;
/// Between finding an actor stuck and giving the process up: time for the state dump, of which the
/// actors' own answers take status_answer_timeout.
inline constexpr auto stuck_dump_time = 400ms;
/// GET /stats/live: clients at a time, of all event loops; between two looks for new events;
/// between two signs of life; what may wait for a client that does not read; how long a stop waits
/// for one.
inline constexpr size_t live_clients = 32;
inline constexpr auto live_interval = 250ms;
inline constexpr uint64_t live_heartbeat_secs = 15;
inline constexpr size_t live_client_bytes = 512 * 1024;
inline constexpr auto live_farewell = 100ms;
/// Between two writes of what has happened to the service, and the longest the exit waits for one.
inline constexpr auto life_write_interval = 1000ms;
inline constexpr auto life_last_write_limit = 50ms;
/// The longest the exit waits for the service manager to have read our last words.
inline constexpr auto manager_barrier_limit = 50ms;
/// The longest a question to the service manager about our unit may take.
inline constexpr auto manager_answer_timeout = 2000ms;
/// First wait before a died child is started again; doubles each time.
inline constexpr auto restart_backoff = 100ms;
inline constexpr auto restart_backoff_max = 5000ms;
/// A store that does not answer a commit within busy_timeout plus this is overdue: its batch is
/// abandoned and the waiting requests are answered.
inline constexpr auto commit_overdue_margin = 3000ms;
/// Between two tries to store events that nobody waits for, while the store refuses: doubles up to
/// the longest.
inline constexpr auto commit_retry_interval = 250ms;
inline constexpr auto commit_retry_max = 2000ms;
/// How much longer than the database itself a reader waits for it to end a statement.
inline constexpr auto reader_grace = 2000ms;
/// Between two tries to replay the spool while the database is away: doubles up to the longest, and
/// is shortened at random by up to half.
inline constexpr auto replay_wait = 100ms;
/// Of a batch that fails, before the next ones are tried without it.
inline constexpr size_t replay_tries = 2;
/// Of one with which the connection ends each time, or the database is busy, while others are
/// taken, before that is said and no longer taken for chance; and how often the number of those
/// that go before it doubles.
inline constexpr size_t lone_tries = 4;
inline constexpr size_t most_doubled = 6;
/// Until the next of those is tried that the database did not take while it took others.
inline constexpr auto deferred_wait = 60s;
inline constexpr auto replay_wait_max = 5000ms;
/// What is replayed in one transaction, whichever is less; at least one batch. Live events wait for
/// it: it must take a fraction of spool.after_ms.
inline constexpr size_t replay_batches = 1000;
inline constexpr size_t replay_events = 2000;
/// While the spool is being emptied it takes live events only as fast as it loses others, until the
/// database has taken nothing out of it for so many times spool.after_ms: another batch, which is
/// late, may keep the database busy meanwhile.
inline constexpr int drain_patience = 3;
/// No request waits for that longer than so many times spool.after_ms.
inline constexpr int drain_hold = 10;
/// Between two signs of life of an instance among those that share a database, and how long one
/// holds: an instance that is silent for longer counts as gone.
inline constexpr auto heartbeat_interval = 2000ms;
inline constexpr auto lease = 10'000ms;
/// How long the duty of maintenance stays with an instance that is silent.
inline constexpr auto duty_lease = 30'000ms;
/// How much longer than the server we wait for the end of a statement: its word says more than our
/// silence.
inline constexpr std::chrono::milliseconds statement_grace = 500ms;
/// How long a session may be silent within a transaction: then its process stands still, and others
/// wait for the locks.
inline constexpr std::chrono::milliseconds transaction_silence = 5s;
/// By how much the clocks of an instance and of its database may differ: as those of senders.
inline constexpr std::chrono::seconds clock_tolerance{max_future_secs};
/// Days of rows are dropped one a day; two that fall on both sides of midnight, or a day that a gap
/// left behind, are at least this far apart.
inline constexpr std::chrono::microseconds retention_pause = 12h;
/// After an error of maintenance: doubles up to the longest.
inline constexpr std::chrono::milliseconds maintenance_retry = 10s;
inline constexpr std::chrono::milliseconds maintenance_retry_max = 600s;
/// How long maintenance waits for a lock: whoever comes after it waits behind it.
inline constexpr std::chrono::milliseconds maintenance_lock = 100ms;
/// And a migration, which tries again after the pause, for others to get on.
inline constexpr std::chrono::milliseconds migration_lock = 500ms;
inline constexpr std::chrono::milliseconds migration_pause = 500ms;
/// And a sign of life: a stop waits for the one that is under way.
inline constexpr std::chrono::milliseconds heartbeat_lock = 500ms;
/// How long what is under way with the other instances may still take when a stop has come.
inline constexpr std::chrono::milliseconds leave_limit = 1000ms;
/// Between two rounds of maintenance, and between two steps while there is something to do.
inline constexpr std::chrono::milliseconds maintenance_interval = 60s;
inline constexpr std::chrono::milliseconds maintenance_step = 2000ms;
/// Between two looks whether there are events that no cube holds.
inline constexpr std::chrono::milliseconds count_interval = 500ms;
/// How long a step of maintenance may take.
inline constexpr std::chrono::milliseconds maintenance_limit = 300s;
/// Rows deleted in one step, and how long outcomes of batches are kept: longer than any spool
/// waits.
inline constexpr int64_t prune_rows = 20'000;
inline constexpr int64_t batch_outcome_days = 60;
/// The time the last words may take on a forced exit: log and last-exit.json.
inline constexpr auto forced_report_limit = 30ms;
/// How long the end of a stop waits for the disk to take last-exit.json.
inline constexpr auto report_file_limit = 1000ms;
/// After everything has stopped, the actor system gets this long to come down before it is left.
inline constexpr auto teardown_limit = 1000ms;
/// How often connections are checked against their time-outs while there are any.
inline constexpr auto connection_sweep_interval = 250ms;
/// Between two tries to accept while the system has no descriptor or memory for a connection, how
/// long that must go well before it counts as over, and between two lines about it in the log.
inline constexpr auto accept_retry_interval = 50ms;
inline constexpr auto shortage_over_after = 1000ms;
inline constexpr auto shortage_log_interval = 10'000ms;
/// When all places are taken, who waits for a request at least that long makes room for others.
inline constexpr auto make_room_after = 1000ms;
/// The longest a refused connection is read from after its answer, so that the answer arrives.
inline constexpr auto linger_limit = 1000ms;
inline constexpr size_t linger_max_bytes = 16 * static_cast<size_t>(mib);
/// Connections of the admin socket, and how long one may be silent.
inline constexpr size_t admin_max_connections = 32;
inline constexpr auto admin_idle_timeout = 30'000ms;
/// How long a connection that is ended with an error still takes what is on its way.
inline constexpr auto admin_linger = 1000ms;
/// How long a client of it may leave its answer unread.
inline constexpr auto admin_write_timeout = 10'000ms;
/// Bounds of Retry-After, in seconds.
inline constexpr uint32_t retry_after_min_s = 1;
inline constexpr uint32_t retry_after_max_s = 60;
/// Log lines that wait for a slow reader of the log; the oldest are dropped, and counted.
inline constexpr size_t log_queue_lines = 8192;

/// Questions that wait at a time; more are refused at once.
inline constexpr size_t questions_waiting = 256;
/// A question that is younger than this when a stop begins may still be answered.
inline constexpr auto question_grace = 1000ms;
/// How long the failure of a question is shown as a trouble of the service.
inline constexpr auto question_trouble_shown = 10'000ms;
/// The longest that a backup or a check of the whole database may take.
inline constexpr std::chrono::milliseconds inspection_timeout = 3600s;
/// Bounds of a trace: lines kept in memory (about 40 MB), bytes of a file, messages that were sent
/// and not yet handled.
inline constexpr size_t trace_max_lines = 200'000;
inline constexpr uint64_t trace_max_file_bytes = 256 * static_cast<uint64_t>(mib);
inline constexpr size_t trace_max_waiting = 100'000;

} // namespace phi::defaults
