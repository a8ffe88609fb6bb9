#include "config/keys.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

namespace phi {
namespace {

constexpr int64_t many = 1'000'000'000;
constexpr int64_t day_ms = 86'400'000;

// PHI_KEY(section.name, what, ...): the path is written once and is also the place in the struct.
#define PHI_KEY(path, ...)                                                                         \
  config_key {                                                                                     \
#path, [](config & c) -> key_target { return &c.path; }, __VA_ARGS__                           \
  }

const std::array keys{
  PHI_KEY(
    server.host,
    "Address to listen on. Any other than loopback needs a token; localhost is 127.0.0.1 and ::1."),
  PHI_KEY(server.port, "Port to listen on; 0 lets the system pick one.", 0, 65535),
  PHI_KEY(server.state_dir,
          "Directory of phi.db and last-exit.json. Default: $STATE_DIRECTORY, else ./data."),
  PHI_KEY(server.instance, "Name of this instance in its own events. Default: the host's name."),
  PHI_KEY(server.threads, "Event loops of the public listener.", 1, 64),
  PHI_KEY(server.drain_delay_ms,
          "At a stop, keep accepting for this long, in ms, so that load balancers can move away.",
          0, 600'000),
  PHI_KEY(server.keepalive_grace_ms,
          "At a stop, an idle connection may send one more request within this many ms.", 0,
          60'000),
  PHI_KEY(server.partial_grace_ms,
          "At a stop, a half-received request may be completed within this many ms.", 0, 60'000),
  PHI_KEY(server.keepalive_timeout_secs, "An idle connection is closed after this many seconds.", 1,
          86'400),
  PHI_KEY(server.header_timeout_ms,
          "A request's header must arrive within this many ms (else 408).", 1, day_ms),
  PHI_KEY(server.body_timeout_ms, "A request's body must arrive within this many ms (else 408).", 1,
          day_ms),
  PHI_KEY(server.request_timeout_ms,
          "A request is answered within this many ms, if need be with 503.", 100, day_ms),
  PHI_KEY(server.write_timeout_ms, "An answer must be taken by the client within this many ms.", 1,
          day_ms),
  PHI_KEY(server.max_connections, "Connections at a time; more wait in the listen queue.", 1,
          1'000'000),
  PHI_KEY(server.max_uri_bytes, "Longest request target (else 414).", 64, 65'536),
  PHI_KEY(server.max_header_bytes, "Largest request header (else 431).", 256, 65'536),
  PHI_KEY(server.max_header_count, "Most header fields of a request (else 431).", 1, 1000),
  PHI_KEY(server.max_body_bytes, "Largest body as sent (else 413).", 1, many),
  PHI_KEY(server.max_expanded_bytes, "Largest body after gzip or zstd (else 413).", 1, many),
  PHI_KEY(server.trusted_proxies,
          "Addresses or networks (10.0.0.0/8) whose X-Forwarded-For is believed."),
  PHI_KEY(server.rate_limit.per_address,
          "Requests of events and questions that one address, or /64 of IPv6, may make within "
          "window_secs (else 429); 0: no limit.",
          0, many),
  PHI_KEY(server.rate_limit.per_token,
          "The same of one token, whatever addresses use it; 0: no limit.", 0, many),
  PHI_KEY(server.rate_limit.window_secs,
          "Within this many seconds a quota that is spent comes back, evenly.", 1, 86'400),
  PHI_KEY(api.prefix, "Path before /events and /stats."),
  PHI_KEY(cors.allowed_origins,
          "Origins that browsers may call from, such as https://app.example; \"*\" for any."),
  PHI_KEY(
    auth.token,
    "Bearer token that events and questions need. Secret: best given by APP_AUTH_TOKEN_FILE."),
  PHI_KEY(auth.allow_anonymous,
          "Allow to listen on other addresses than loopback without a token."),
  PHI_KEY(logging.level, "Least level that is logged.", 0, 0,
          {"trace", "debug", "info", "warn", "error"}),
  PHI_KEY(logging.format, "Shape of log lines.", 0, 0, {"full", "compact", "pretty", "json"}),
  PHI_KEY(logging.access, "One line for each request at level info; else they are told at debug."),
  PHI_KEY(stats.enabled, "Take events and answer questions; off leaves only the health routes."),
  PHI_KEY(stats.storage, "Where events are kept.", 0, 0, {"sqlite", "postgres"}),
  PHI_KEY(stats.sqlite_path, "Database file. Default: phi.db in the state directory."),
  PHI_KEY(stats.sqlite_wal,
          "Use SQLite's write-ahead log; off is slower and blocks questions during commits."),
  PHI_KEY(stats.postgres_url,
          "The database, such as postgresql://user:password@host/name. Secret: best given by "
          "APP_STATS_POSTGRES_URL_FILE."),
  PHI_KEY(stats.postgres_connect_timeout_secs,
          "PostgreSQL: seconds to connect, for all hosts of the URL together; each has its share.",
          2, 600),
  PHI_KEY(stats.retention_hot_days,
          "Rows of events older than this many days are deleted; their counts stay.", 1, 36'600),
  PHI_KEY(stats.batch_size, "Most events a transaction, unless one request has more.", 1,
          1'000'000),
  PHI_KEY(stats.flush_interval_ms,
          "Longest that events nobody waits for stay in memory, in ms. Not a floor.", 1, 3'600'000),
  PHI_KEY(
    stats.user_hash_salt,
    "Key of the hashes of users and addresses. Default: one made at the first start. Secret."),
  PHI_KEY(stats.timezone, "IANA zone of questions that name none."),
  PHI_KEY(stats.start_at,
          "Events before this time (RFC 3339) are refused and not counted. Default: none."),
  PHI_KEY(stats.durability,
          "full: flushed to disk before the answer. normal: survives a kill, not a power cut. "
          "queued: answered first, lossy on kill.",
          0, 0, {"full", "normal", "queued"}),
  PHI_KEY(stats.track_requests,
          "Record the service's own requests as events, apart from the counts of the users'."),
  PHI_KEY(stats.queue_max_events, "Most events waiting in memory (else 503).", 1, many),
  PHI_KEY(stats.queue_max_bytes, "Most bytes of events waiting in memory (else 503).", 1024,
          int64_t{1} << 40),
  PHI_KEY(stats.max_events_per_request, "Most events in one request (else 413).", 1, 1'000'000),
  PHI_KEY(stats.max_event_bytes, "Longest JSON text of one event.", 64, 16'777'216),
  PHI_KEY(stats.max_text_bytes, "Longest feature, action, route, instance, id, source, user.", 8,
          65'536),
  PHI_KEY(stats.max_extra_bytes, "Longest JSON text of `extra`.", 2, 16'777'216),
  PHI_KEY(stats.max_future_secs, "How far an event's time may lie ahead of ours.", 0, 31'536'000),
  PHI_KEY(stats.max_age_days, "How far an event's time may lie back.", 1, 36'600),
  PHI_KEY(stats.busy_timeout_ms, "How long a commit may wait for the database.", 1, 600'000),
  PHI_KEY(stats.query_timeout_ms, "A question that takes longer is answered 503.", 1, 600'000),
  PHI_KEY(stats.max_range_days, "Longest range of a question, in days.", 1, 36'600),
  PHI_KEY(spool.enabled,
          "PostgreSQL: while it is away, keep events in a local file and answer 202."),
  PHI_KEY(spool.path, "The file. Default: spool.db in the state directory."),
  PHI_KEY(spool.after_ms, "A commit that takes longer than this many ms goes to the spool.", 10,
          600'000),
  PHI_KEY(spool.max_bytes, "Most bytes of events in the spool (else 503).", 1'048'576,
          int64_t{1} << 50),
  PHI_KEY(spool.min_free_bytes, "The disk keeps this much free (else 503).", 0, int64_t{1} << 50),
  PHI_KEY(shutdown.timeout_secs, "The deadline of a stop, in seconds.", 1, 86'400),
  PHI_KEY(shutdown.force_quit,
          "Force the exit force_delay_secs after the deadline; off waits without limit."),
  PHI_KEY(shutdown.force_delay_secs, "From the deadline to the forced exit, in seconds.", 0,
          86'400),
  PHI_KEY(shutdown.start_timeout_secs, "How long a start may go on without progress, in seconds.",
          1, 86'400),
  PHI_KEY(shutdown.restart_limit,
          "Restarts of died actors within the window, then the service stops.", 0, 1000),
  PHI_KEY(shutdown.restart_window_secs, "The window of restart_limit, in seconds.", 1, 86'400),
  PHI_KEY(shutdown.http_budget_percent, "Share of timeout_secs for requests in flight.", 1, 99),
  PHI_KEY(shutdown.stats_budget_percent, "Share of timeout_secs for the queue.", 1, 99),
  PHI_KEY(shutdown.store_budget_percent, "Share of timeout_secs for closing the database.", 1, 99),
  PHI_KEY(shutdown.spool_budget_percent, "Share of timeout_secs for the spool.", 1, 99),
  PHI_KEY(shutdown.membership_budget_percent,
          "Share of timeout_secs for leaving the cluster of instances.", 1, 99),
  PHI_KEY(shutdown.maintenance_budget_percent,
          "Share of timeout_secs for ending a step of maintenance.", 1, 99),
  PHI_KEY(shutdown.reader_budget_percent, "Share of timeout_secs for the read connection.", 1, 99),
  PHI_KEY(shutdown.admin_budget_percent, "Share of timeout_secs for the admin socket.", 1, 99),
  PHI_KEY(shutdown.watchdog_budget_percent, "Share of timeout_secs for the watchdog.", 1, 99),
  PHI_KEY(shutdown.signal_budget_percent, "Share of timeout_secs for the signal actor.", 1, 99),
  PHI_KEY(shutdown.watchdog.enabled, "Run the health quorum."),
  PHI_KEY(shutdown.watchdog.timeout_secs, "An actor silent for this long is stuck.", 1, 86'400),
  PHI_KEY(shutdown.watchdog.interval_secs, "Between two rounds of the quorum, in seconds.", 1,
          86'400),
  PHI_KEY(shutdown.watchdog.abort, "Abort the process when an actor is stuck."),
  PHI_KEY(admin.socket, "Path of the admin socket. Default: admin.sock in $RUNTIME_DIRECTORY, else "
                        "in the state directory."),
  PHI_KEY(admin.group,
          "Members of this group may use the admin socket, beside root and the own user."),
};

#undef PHI_KEY

constexpr std::array<std::string_view, 11> reserved{
  "stats.daily_aggregate_time",
  "stats.archive.enabled",
  "stats.archive.dir",
  "stats.archive.compress",
  "admin.http",
  "logging.file_dir",
  "logging.file_prefix",
  "logging.rotation",
  "server.prefix",
  "server.request_logging",
  "server.cors",
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned{code});
      out += escape;
      continue;
    }
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + '"';
}

struct value_printer {
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const int64_t* value) const { return std::to_string(*value); }
  std::string operator()(const std::string* value) const { return quoted(*value); }
  std::string operator()(const secret* value) const {
    return value->empty() ? "(not set)" : "(set)";
  }
  std::string operator()(const std::vector<std::string>* values) const {
    std::string out = "[";
    for (const auto& value : *values)
      out += (out.size() > 1 ? ", " : "") + quoted(value);
    return out + "]";
  }
};

} // namespace

std::span<const config_key> all_keys() {
  return keys;
}

std::span<const std::string_view> reserved_keys() {
  return reserved;
}

std::string environment_name(std::string_view path) {
  std::string name = "APP_";
  for (char c : path)
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string show_value(const config_key& key, const config& values) {
  return std::visit(value_printer{}, key.in(const_cast<config&>(values)));
}

} // namespace phi
