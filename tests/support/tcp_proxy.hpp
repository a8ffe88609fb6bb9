#pragma once
/// A TCP proxy on loopback that can cut the network: what goes through it stops, as if a cable were
/// pulled, or is reset. And a server that is there and silent.

#include <atomic>
#include <cstdint>
#include <string>
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

/// A TCP port on loopback that takes connections and never says a word.
class mute_server {
public:
  mute_server();
  ~mute_server();
  mute_server(const mute_server&) = delete;

  /// "127.0.0.1:PORT"
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }

private:
  int listener_ = -1;
  uint16_t port_ = 0;
};

} // namespace phi::testing
