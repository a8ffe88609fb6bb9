#pragma once
/// Signals as a queue: blocked in every thread from the first line of main, read by one thread.
/// Nothing ever runs in a signal handler.

#include "actors/ports/signal_port.hpp"
#include "protocol/platform/descriptor.hpp"

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace phi {

/// Blocks the signals we handle in this thread and all that it will start, and ignores SIGPIPE.
/// The first line of main.
void block_signals();

/// Undoes it, for work that a signal may simply end. A signal that came meanwhile acts now.
void unblock_signals();

class signal_source : public signal_port {
public:
  /// Starts the thread. `emergency` is called there on the third wish for a stop, at once and
  /// whatever else the process does.
  explicit signal_source(std::function<void()> emergency);
  ~signal_source() override;
  signal_source(const signal_source&) = delete;

  /// From now on `handler` gets every signal, in the thread of this source; first those that came
  /// before. An empty handler: keep them.
  void attach(std::function<void(const heard_signal&)> handler) override;

private:
  void run();
  void on_signal(const heard_signal& signal);

  std::function<void()> emergency_;
  owned_fd signals_;
  owned_fd wake_;
  std::mutex mutex_;
  std::function<void(const heard_signal&)> handler_;
  std::vector<heard_signal> early_;
  std::thread thread_;
};

} // namespace phi
