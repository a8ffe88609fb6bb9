#pragma once
/// A TCP proxy on loopback that can cut the network: what goes through it stops, as if a cable were
/// pulled, or is reset.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace phi::testing {

class tcp_proxy {
public:
  explicit tcp_proxy(uint16_t to);
  ~tcp_proxy();
  tcp_proxy(const tcp_proxy&) = delete;

  uint16_t port() const { return port_; }

  /// Nothing goes through any more, in either direction, and nobody is told; new connections are
  /// accepted and hear nothing.
  void cut() { cut_ = true; }
  /// What waits goes on, and all is as before.
  void heal() { cut_ = false; }
  /// Ends all connections there are by a reset.
  void reset() { reset_ = true; }

private:
  struct link {
    int client = -1;
    int server = -1;
  };
  void run();
  bool pass_on(int from, int to) const;
  void end(link& one, bool by_reset) const;

  uint16_t to_;
  uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> reset_{false};
  std::vector<link> links_;
  std::thread thread_;
};

} // namespace phi::testing
