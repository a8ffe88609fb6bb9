#pragma once
/// The process and the machine, as the watchdog sees them.

#include "actors/health_board.hpp"
#include "actors/ports/watch_port.hpp"
#include "config/defaults.hpp"
#include "server/systemd/service_manager.hpp"

#include <atomic>
#include <functional>

namespace phi {

class process_watch : public watch_port {
public:
  /// `abort_when_stuck` as in shutdown.watchdog.abort. `manager` must outlive it. `note_stuck` is
  /// told who is stuck before the process is given up, so that the next start can say it.
  process_watch(systemd::service_manager& manager, bool abort_when_stuck,
                std::function<void(const std::string&)> note_stuck)
    : manager_(manager),
      abort_when_stuck_(abort_when_stuck),
      note_stuck_(std::move(note_stuck)) {}

  /// Set before the watchdog starts: what is no actor, and what to do when nobody looks any more.
  std::function<std::vector<outside_part>()> on_inspect_parts;
  std::function<void()> on_rest;
  std::function<void(const health_view&)> on_health; ///< once a second

  /// How the service is as a whole, for all who ask.
  const health_board& board() const { return board_; }

  void set_abort_when_stuck(bool yes) { abort_when_stuck_ = yes; }

  std::optional<duration> manager_limit() const override { return manager_.watchdog_limit(); }
  void beat() override { manager_.beat(); }
  void show_late(const std::string& text) override;
  std::vector<outside_part> inspect_parts() override {
    return on_inspect_parts ? on_inspect_parts() : std::vector<outside_part>{};
  }
  void show_health(const health_view& view) override;
  void rest() override;
  void give_up(const std::string& actor) override;
  std::optional<thread_times> times_of(int thread) const override;
  duration suspended() const override;

private:
  void show();

  systemd::service_manager& manager_;
  std::atomic<bool> abort_when_stuck_;
  std::function<void(const std::string&)> note_stuck_;
  health_board board_{defaults::health_stale};
  std::string late_;  ///< who is late for the watchdog
  std::string ails_;  ///< what degrades the service
  std::string shown_; ///< of the two, to the manager
};

} // namespace phi
