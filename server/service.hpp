#pragma once
/// The process, as the supervisor sees it: log, state directory, last resort, readiness.

#include "actors/ports/http_port.hpp"
#include "actors/ports/service_port.hpp"
#include "server/last_resort.hpp"
#include "server/logging.hpp"
#include "server/platform/state_directory.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

namespace phi {

class service : public service_port {
public:
  /// `abort_when_stuck` as in shutdown.watchdog.abort.
  service(state_directory& state, last_resort& resort, bool abort_when_stuck)
    : state_(state),
      resort_(resort),
      abort_when_stuck_(abort_when_stuck) {}

  /// Called on every change of readiness.
  std::function<void(bool)> on_ready_changed;

  /// Blocks until the supervisor has finished; the exit status.
  exit_code wait();

  void state_changed(service_state state, const std::string& text) override;
  void stop_begun(const exit_report& draft, std::optional<time_point> hard) override;
  void stop_moved(const exit_report& draft) override;
  void finished(const exit_report& report) override;
  void leave_now() override;
  void stuck(const std::string& actor) override;

private:
  state_directory& state_;
  last_resort& resort_;
  bool abort_when_stuck_;
  service_state shown_ = service_state::starting;
  std::mutex guard_;
  std::condition_variable over_;
  std::optional<exit_code> code_;
};

/// Writes a report's table, blame and verdict to the log.
void log_report(const exit_report& report);

} // namespace phi
