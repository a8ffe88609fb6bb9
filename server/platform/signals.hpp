#pragma once
/// Signals as a queue: blocked in every thread from the first line of main, read by one thread.
/// Nothing ever runs in a signal handler.

#include "server/platform/listener.hpp"

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace phi {

/// Blocks the signals we handle in this thread and all that it will start, and ignores SIGPIPE.
/// The first line of main.
void block_signals();

class signal_source {
public:
  /// Starts the thread. `emergency` is called there on the third stop signal, at once and whatever
  /// else the process does.
  explicit signal_source(std::function<void()> emergency);
  ~signal_source();
  signal_source(const signal_source&) = delete;

  /// From now on `handler` gets every signal, in the thread of this source; first those that came
  /// before. An empty handler: keep them.
  void attach(std::function<void(int)> handler);

private:
  void run();
  void on_signal(int number);

  std::function<void()> emergency_;
  owned_fd signals_;
  owned_fd wake_;
  std::mutex guard_;
  std::function<void(int)> handler_;
  std::vector<int> early_;
  std::thread thread_;
};

} // namespace phi
