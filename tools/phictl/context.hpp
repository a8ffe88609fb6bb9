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

/// What the service says may help.
enum class remedy {
  none,
  later,        ///< the same request may work later
  less,         ///< nothing was done; less at a time may work
  earlier_name, ///< it does not know this method; an older service has another name for it
};

/// Ends a command: `what()` is for people.
class failure : public std::runtime_error {
public:
  failure(exit_status status, const std::string& text, remedy helps = remedy::none)
    : std::runtime_error(text),
      status_(status),
      helps_(helps) {}
  exit_status status() const { return status_; }
  remedy helps() const { return helps_; }

private:
  exit_status status_;
  remedy helps_;
};

struct command_context {
  bool json = false;                    ///< --json
  std::string socket;                   ///< --socket; empty: look in the usual places
  std::chrono::milliseconds timeout{0}; ///< --timeout; 0: the command's own
  std::string unit = "phi-backend.service";

  std::chrono::milliseconds timeout_or(std::chrono::milliseconds own) const {
    return timeout.count() > 0 ? timeout : own;
  }
};

/// Of what takes as long as it takes, such as a copy, unless --timeout says otherwise.
inline constexpr auto no_time_limit = std::chrono::hours{480};

} // namespace phi::ctl
