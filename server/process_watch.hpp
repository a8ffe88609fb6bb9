#pragma once
/// The process and the machine, as the watchdog sees them.

#include "actors/ports/watch_port.hpp"
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

  void set_abort_when_stuck(bool yes) { abort_when_stuck_ = yes; }

  std::optional<duration> manager_limit() const override { return manager_.watchdog_limit(); }
  void beat() override { manager_.beat(); }
  void show_late(const std::string& text) override { manager_.late(text); }
  void give_up(const std::string& actor) override;
  std::optional<thread_times> times_of(int thread) const override;
  duration suspended() const override;

private:
  systemd::service_manager& manager_;
  std::atomic<bool> abort_when_stuck_;
  std::function<void(const std::string&)> note_stuck_;
};

} // namespace phi
