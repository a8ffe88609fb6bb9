#pragma once
/// What every command of phictl gets: the global options, where to write, and how it ends.

#include <chrono>
#include <stdexcept>
#include <string>

namespace phi::ctl {

/// The exit statuses of phictl.
enum class exit_status : int {
  done = 0,
  failed = 1, ///< refused, or it did not work
  usage = 2,
  not_running = 3,
  timed_out = 4,
  // `stop --wait` ends with the service's own exit status (protocol/lifecycle.hpp) instead.
};

/// Ends a command: `what()` is for people.
class failure : public std::runtime_error {
public:
  failure(exit_status how, const std::string& text, bool again = false)
    : std::runtime_error(text),
      how_(how),
      again_(again) {}
  exit_status how() const { return how_; }
  /// Whether the service says that the same request may work later.
  bool again() const { return again_; }

private:
  exit_status how_;
  bool again_;
};

struct context {
  bool json = false;                    ///< --json
  std::string socket;                   ///< --socket; empty: look in the usual places
  std::chrono::milliseconds timeout{0}; ///< --timeout; 0: the command's own
  std::string unit = "phi-backend.service";

  std::chrono::milliseconds timeout_or(std::chrono::milliseconds own) const {
    return timeout.count() > 0 ? timeout : own;
  }
};

} // namespace phi::ctl
