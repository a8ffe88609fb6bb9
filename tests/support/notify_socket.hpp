#pragma once
/// A notify socket as a service manager has one, that writes down what it is told.

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace phi::testing {

class notify_socket {
public:
  /// `reads`: false makes one that never reads, as a manager that hangs.
  explicit notify_socket(const std::string& path, bool reads = true);
  ~notify_socket();
  notify_socket(const notify_socket&) = delete;

  const std::string& path() const { return path_; }

  /// Every line of every message that was sent before this call, in order.
  std::vector<std::string> lines() const;
  /// The lines without STATUS=, EXTEND_TIMEOUT_USEC= and WATCHDOG=1: the states.
  std::vector<std::string> states() const;
  size_t count(const std::string& prefix) const;
  bool wait_for(const std::string& prefix, size_t times = 1,
                std::chrono::milliseconds limit = std::chrono::seconds{20}) const;

private:
  void run();

  std::string path_;
  bool reads_ = true;
  int fd_ = -1;
  mutable std::mutex mutex_;
  mutable std::vector<std::string> lines_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

} // namespace phi::testing
