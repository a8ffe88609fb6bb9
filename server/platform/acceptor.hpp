#pragma once
/// Takes connections from a listening socket and never gives up on it: no failed accept, no client
/// that is gone before it was taken, and no shortage of descriptors ends it.

#include "protocol/platform/descriptor.hpp"
#include "protocol/time.hpp"

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace phi {

/// A connection as the system hands it out: non-blocking, and not inherited by other programs.
struct taken_connection {
  owned_fd fd;
  bool local = false;           ///< of a local socket, where clients have no address
  asio::ip::tcp::endpoint peer; ///< of a TCP connection
};

/// What an acceptor has seen. Written in its loop, read from anywhere.
struct accept_counts {
  std::atomic<uint64_t> accepted{0};  ///< connections taken and served
  std::atomic<uint64_t> gone{0};      ///< reset by the client before they were taken
  std::atomic<uint64_t> failed{0};    ///< accepts that failed, each try of a shortage included
  std::atomic<uint64_t> held_back{0}; ///< times that new ones had to wait for a place
  std::atomic<bool> open{false};
  std::atomic<int> shortage{0};            ///< errno while none can be taken; 0: they can
  std::atomic<int64_t> shortage_began{0};  ///< ticks of `clock`
  std::atomic<int64_t> last_failure_at{0}; ///< ticks of `clock`; 0: never
};

/// Runs on one io_context, whose thread makes every call but `counts()`.
class acceptor {
public:
  struct owner {
    std::string name;                           ///< the subject of its log lines
    std::function<bool()> has_room;             ///< false: new connections wait, see go_on()
    std::function<void(taken_connection)> take; ///< may throw: the connection is closed
  };

  acceptor(asio::io_context& on, owner who);
  ~acceptor();

  /// Accepts from `listening`, a non-blocking socket of any kind that listens. Throws when the
  /// system cannot watch it.
  void open(owned_fd listening);

  /// There may be room again.
  void go_on();

  /// Takes all that waits now, whether there is room or not. False: a shortage prevents it.
  bool take_all();

  void close();
  bool is_open() const;
  int native_handle();

  const accept_counts& counts() const { return counts_; }

private:
  class listener; ///< as the system lets one wait for connections
  enum class attempt : uint8_t { taken, nothing_there, shortage };

  void wait();
  void take_some();
  void hold();
  attempt take_one();
  void submit(taken_connection taken);
  void begin_shortage(int error);
  void arm_retry();
  void check_shortage();

  std::unique_ptr<listener> listener_;
  asio::steady_timer retry_;
  owner who_;
  accept_counts counts_;
  bool waiting_ = false; ///< for the listener to become readable
  bool held_ = false;    ///< for a place
  bool said_ = false;    ///< the shortage is in the log
  bool retry_armed_ = false;
  time_point began_short_{};
  time_point last_short_{}; ///< the last try that found nothing to make a connection of
  time_point last_said_{};
  uint64_t failed_before_ = 0;
};

} // namespace phi
