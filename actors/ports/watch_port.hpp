#pragma once
/// What the watchdog needs of the process and of the machine.

#include "protocol/health.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/time.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// A part of the service that is no actor: an event loop, the public listener.
struct outside_part {
  std::string name;  ///< for people
  duration silent{}; ///< for how long it has owed a sign of life; zero: it owes none
  std::string doing; ///< what is known of why, for people; may be empty
  bool busy = false; ///< silent for a good reason: it is shown, but nobody is blamed for it
  std::string part;  ///< its name for programs, of `part_name`
};

/// Called from the watchdog's thread; never blocks.
class watch_port {
public:
  virtual ~watch_port() = default;

  /// How long the service manager waits for a sign of life; nothing: it does not ask for any.
  virtual std::optional<duration> manager_limit() const = 0;

  /// A sign of life for the service manager.
  virtual void beat() = 0;

  /// Who is late, for the status line; an empty text: nobody any more.
  virtual void show_late(const std::string& text) = 0;

  /// Asks everything that is no actor for a sign of life, and says what came of the last time.
  virtual std::vector<outside_part> inspect_parts() { return {}; }

  /// How the service is as a whole, once a second while it runs.
  virtual void show_health(const health_view&) {}

  /// A stop has begun: from now on nobody looks.
  virtual void rest() {}

  /// `actor` is stuck for good: has the service manager start the service anew, or aborts the
  /// process when that is configured. Returns when neither is to be had.
  virtual void give_up(const std::string& actor) = 0;

  /// Nothing when the system does not tell.
  virtual std::optional<thread_times> times_of(int thread) const = 0;

  /// How long the machine has been suspended since it was started.
  virtual duration suspended() const = 0;
};

using watch_port_ptr = std::shared_ptr<watch_port>;

} // namespace phi
