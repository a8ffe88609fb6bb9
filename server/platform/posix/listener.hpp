#pragma once
/// The listening socket.

#include "protocol/outcome.hpp"

#include <cstdint>
#include <string>

namespace phi {

/// An owned file descriptor.
class owned_fd {
public:
  owned_fd() = default;
  explicit owned_fd(int fd) : fd_(fd) {}
  owned_fd(owned_fd&& other) noexcept : fd_(other.release()) {}
  owned_fd& operator=(owned_fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~owned_fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);

private:
  int fd_ = -1;
};

/// Binds and listens on `host` (a name or an address) and `port`; else what is wrong
/// and what would help.
result<owned_fd> open_listener(const std::string& host, uint16_t port);

struct bound_address {
  std::string host; ///< numeric
  uint16_t port = 0;
  bool loopback = false;
};

/// Where a TCP socket is bound.
bound_address address_of(int fd);

/// From now on the system refuses attempts to connect at once, while connections on their way in
/// still complete. So what waits can be accepted and the socket closed without resetting anybody.
/// Only for a socket that no other process shares.
void refuse_new_connections(int listener);

} // namespace phi
