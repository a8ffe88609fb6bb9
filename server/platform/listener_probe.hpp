#pragma once
/// Asks the public listener from outside, as a client does: whether it accepts and answers.

#include "config/defaults.hpp"
#include "protocol/outcome.hpp"
#include "protocol/time.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace phi {

/// A thread of its own, which has one connection at a time and never waits for longer than
/// `defaults::probe_timeout`.
class listener_probe {
public:
  /// `addresses`: where it listens now, such as "127.0.0.1:3939"; asked in the probe's thread, at
  /// each `interval`.
  explicit listener_probe(std::function<std::vector<std::string>()> addresses,
                          duration interval = defaults::probe_interval);
  ~listener_probe();
  listener_probe(const listener_probe&) = delete;

  struct finding {
    duration failing_for{}; ///< since it last answered; zero: it has, or was never asked
    std::string why;        ///< empty: it has not failed
  };
  finding last() const;

  /// A stop has begun: nothing is asked any more. Does not wait for a request under way.
  void rest();

private:
  void run();

  std::function<std::vector<std::string>()> addresses_;
  duration interval_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> resting_{false};
  time_point well_at_{}; ///< when it last answered, or the first question
  outcome answered_;     ///< what came of the last question
  std::thread thread_;
};

/// The value of the header X-Phi-Probe, by which our own requests are told from others'. Drawn at
/// random for this process.
const std::string& probe_sign();

} // namespace phi
