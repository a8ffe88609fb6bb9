#pragma once
/// The configuration, typed. `keys.cpp` is the table that fills it; README.md is its reference.

#include "config/defaults.hpp"
#include "protocol/event.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// A text that is never printed or logged.
struct secret {
  std::string value;
  bool empty() const { return value.empty(); }
};

/// Which database has the events.
enum class storage_kind : uint8_t { sqlite, postgres };

struct config {
  struct {
    std::string host = "127.0.0.1";
    int64_t port = defaults::port; ///< 0: the system picks one (the log says which)
    std::string state_dir;         ///< empty: $STATE_DIRECTORY, else ./data
    std::string instance;          ///< empty: the host's name
    int64_t threads = defaults::threads;
    int64_t drain_delay_ms = defaults::drain_delay_ms;
    int64_t keepalive_grace_ms = defaults::keepalive_grace_ms;
    int64_t partial_grace_ms = defaults::partial_grace_ms;
    int64_t keepalive_timeout_secs = defaults::keepalive_timeout_secs;
    int64_t header_timeout_ms = defaults::header_timeout_ms;
    int64_t body_timeout_ms = defaults::body_timeout_ms;
    int64_t request_timeout_ms = defaults::request_timeout_ms;
    int64_t write_timeout_ms = defaults::write_timeout_ms;
    int64_t max_connections = defaults::max_connections;
    int64_t max_uri_bytes = defaults::max_uri_bytes;
    int64_t max_header_bytes = defaults::max_header_bytes;
    int64_t max_header_count = defaults::max_header_count;
    int64_t max_body_bytes = defaults::max_body_bytes;
    int64_t max_expanded_bytes = defaults::max_expanded_bytes;
    std::vector<std::string> trusted_proxies;

    struct {
      int64_t per_address = defaults::rate_limit_per_address; ///< 0: no limit
      int64_t per_token = defaults::rate_limit_per_token;     ///< 0: no limit
      int64_t window_secs = defaults::rate_limit_window_secs;
    } rate_limit;
  } server;

  struct {
    std::string prefix = "/api/v1";
  } api;

  struct {
    std::vector<std::string> allowed_origins;
  } cors;

  struct {
    secret token;
    bool allow_anonymous = false;
  } auth;

  struct {
    std::string level = "info";
    std::string format = "full";
    bool access = false;
  } logging;

  struct {
    bool enabled = true;
    std::string storage = "sqlite";
    std::string sqlite_path; ///< empty: phi.db in the state directory
    bool sqlite_wal = true;
    secret postgres_url;
    int64_t postgres_connect_timeout_secs = defaults::postgres_connect_timeout_secs;
    int64_t retention_hot_days = defaults::retention_hot_days;
    int64_t batch_size = defaults::batch_size;
    int64_t flush_interval_ms = defaults::flush_interval_ms;
    secret user_hash_salt;
    std::string timezone = "UTC";
    std::string start_at; ///< RFC 3339; empty: no start
    std::string durability = "full";
    bool track_requests = true;
    int64_t queue_max_events = defaults::queue_max_events;
    int64_t queue_max_bytes = defaults::queue_max_bytes;
    int64_t max_events_per_request = defaults::max_events_per_request;
    int64_t max_event_bytes = defaults::max_event_bytes;
    int64_t max_text_bytes = defaults::max_text_bytes;
    int64_t max_extra_bytes = defaults::max_extra_bytes;
    int64_t max_future_secs = defaults::max_future_secs;
    int64_t max_age_days = defaults::max_age_days;
    int64_t busy_timeout_ms = defaults::busy_timeout_ms;
    int64_t query_timeout_ms = defaults::query_timeout_ms;
    int64_t max_range_days = defaults::max_range_days;
  } stats;

  struct {
    bool enabled = defaults::spool_enabled;
    std::string path; ///< empty: spool.db in the state directory
    int64_t after_ms = defaults::spool_after_ms;
    int64_t max_bytes = defaults::spool_max_bytes;
    int64_t min_free_bytes = defaults::spool_min_free_bytes;
  } spool;

  struct {
    int64_t timeout_secs = defaults::timeout_secs;
    bool force_quit = defaults::force_quit;
    int64_t force_delay_secs = defaults::force_delay_secs;
    int64_t start_timeout_secs = defaults::start_timeout_secs;
    int64_t restart_limit = defaults::restart_limit;
    int64_t restart_window_secs = defaults::restart_window_secs;
    int64_t http_budget_percent = defaults::http_budget_percent;
    int64_t stats_budget_percent = defaults::stats_budget_percent;
    int64_t spool_budget_percent = defaults::spool_budget_percent;
    int64_t store_budget_percent = defaults::store_budget_percent;
    int64_t membership_budget_percent = defaults::membership_budget_percent;
    int64_t maintenance_budget_percent = defaults::maintenance_budget_percent;
    int64_t reader_budget_percent = defaults::reader_budget_percent;
    int64_t admin_budget_percent = defaults::admin_budget_percent;
    int64_t watchdog_budget_percent = defaults::watchdog_budget_percent;
    int64_t signal_budget_percent = defaults::signal_budget_percent;

    struct {
      bool enabled = defaults::watchdog_enabled;
      int64_t timeout_secs = defaults::watchdog_timeout_secs;
      int64_t interval_secs = defaults::watchdog_interval_secs;
      bool abort = false;
    } watchdog;
  } shutdown;

  struct {
    std::string socket; ///< empty: admin.sock in $RUNTIME_DIRECTORY, else in the state directory
    std::string group;  ///< empty: none
  } admin;

  // What the fields above come to; filled by the loader.
  struct {
    std::string state_dir;
    std::string sqlite_path;
    std::string spool_path;
    std::string admin_socket;
    std::string instance;
    std::optional<int64_t> start_at_us; ///< microseconds since 1970-01-01 UTC
    phi::durability durability = phi::durability::full;
    storage_kind storage = storage_kind::sqlite;
  } resolved;
};

} // namespace phi
