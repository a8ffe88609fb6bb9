#pragma once
/// The process, as the supervisor sees it: log, state directory, last resort, readiness, settings,
/// service manager.

#include "actors/ports/service_port.hpp"
#include "config/config.hpp"
#include "server/observe/logging.hpp"
#include "server/observe/metrics.hpp"
#include "server/process/last_resort.hpp"
#include "server/process/life_history.hpp"
#include "server/process/process_watch.hpp"
#include "server/process/settings_source.hpp"
#include "server/process/state_directory.hpp"
#include "server/systemd/service_manager.hpp"
#include "server/systemd/unit_limits.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

namespace phi {

/// What it stands on. Everything outlives it.
struct service_parts {
  state_directory& state;
  last_resort& resort;
  process_log& log;
  const settings_source& source;
  systemd::service_manager& manager;
  process_watch& watch;
  life_history& life;
};

class service : public service_port {
public:
  service(service_parts parts, config_ptr settings, std::map<std::string, std::string> origins)
    : parts_(parts),
      settings_(std::move(settings)),
      origins_(std::move(origins)) {}

  // Any thread.
  config_ptr settings() const;
  std::map<std::string, std::string> origins() const;
  std::optional<systemd::unit_limits> unit_limits() const;
  const std::string& run_id() const { return parts_.state.run_id(); }
  life_facts life() const;
  std::vector<life_row> life_rows() const { return parts_.life.rows(); }

  /// Called on every change of readiness.
  std::function<void(bool)> on_ready_changed;

  /// Blocks until the supervisor has finished; the exit status.
  exit_code wait();

  /// What the service manager says of our unit. Any thread; says which budgets do not fit.
  void learn_limits(const systemd::unit_limits& limits);

  void state_changed(service_state state, const std::string& text) override;
  void stop_begun(const exit_report& draft, std::optional<time_point> hard) override;
  void stop_moved(const exit_report& draft) override;
  void finished(const exit_report& report) override;
  void supervisor_died(const std::string& why, const exit_report& draft) override;
  void leave_now() override;
  void stop_extended(duration more, std::optional<time_point> hard) override;
  std::optional<duration> manager_stop_limit() const override;
  bool shows_status() const override { return parts_.manager.present(); }
  duration watchdog_silence(const config& settings) const override;
  prepared_reload prepare_reload() override;
  void apply_settings(const config_ptr& settings) override;
  void stuck(const std::string& actor) override { parts_.watch.give_up(actor); }

private:
  void show(service_state state, const std::string& text);

  service_parts parts_;
  config_ptr settings_;
  std::map<std::string, std::string> origins_;      ///< of the settings in effect
  std::map<std::string, std::string> next_origins_; ///< of those that a reload prepares
  service_state shown_ = service_state::starting;
  mutable std::mutex mutex_;
  std::optional<systemd::unit_limits> limits_;
  std::condition_variable over_;
  std::optional<exit_code> code_;
  std::atomic<uint64_t> reloads_{0};
  std::atomic<uint64_t> reloads_refused_{0};
};

/// Writes a report's table, blame and verdict to the log.
void log_report(const exit_report& report);

} // namespace phi
