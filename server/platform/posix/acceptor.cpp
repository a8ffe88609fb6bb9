#include "server/platform/acceptor.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"

#include <asio/posix/stream_descriptor.hpp>

#include <cerrno>
#include <cstring>
#include <exception>
#include <sys/socket.h>

namespace phi {
namespace {

/// Connections taken before the loop looks after its others.
constexpr int at_once = 64;

/// Whether an error says that there is nothing to make a connection of, for now.
bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// Whether an error concerns one connection, and the next may do better (accept(2): errors that are
/// already pending on the new socket count as failures of accept).
bool is_of_one_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EINTR: return true;
    default: return false;
  }
}

/// A client that has reset its TCP connection leaves a socket without a peer.
bool has_peer(const taken_connection& taken) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return ::getpeername(taken.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

asio::ip::tcp::endpoint endpoint_of(const sockaddr_storage& peer) {
  asio::ip::tcp::endpoint out;
  out.resize(peer.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
  std::memcpy(out.data(), &peer, out.size());
  return out;
}

int64_t ticks(time_point at) {
  return at.time_since_epoch().count();
}

} // namespace

class acceptor::listener : public asio::posix::stream_descriptor {
public:
  using asio::posix::stream_descriptor::basic_stream_descriptor;
};

acceptor::acceptor(asio::io_context& on, owner who)
  : listener_(std::make_unique<listener>(on)),
    retry_(on),
    who_(std::move(who)) {}

acceptor::~acceptor() = default;

bool acceptor::is_open() const {
  return listener_->is_open();
}

int acceptor::native_handle() {
  return listener_->native_handle();
}

void acceptor::open(owned_fd listening) {
  listener_->assign(listening.get());
  [[maybe_unused]] int now_owned = listening.release();
  counts_.open = true;
  wait();
}

void acceptor::close() {
  asio::error_code ignored;
  retry_.cancel();
  listener_->close(ignored);
  counts_.open = false;
  counts_.shortage = 0;
}

void acceptor::go_on() {
  if (std::exchange(held_, false) && is_open())
    take_some();
}

void acceptor::wait() {
  if (!is_open() || std::exchange(waiting_, true))
    return;
  listener_->async_wait(listener::wait_read, [this](const asio::error_code& error) {
    waiting_ = false;
    if (error != asio::error::operation_aborted && is_open())
      take_some();
  });
}

void acceptor::take_some() {
  for (int i = 0; i < at_once; ++i) {
    if (!who_.has_room())
      return hold();
    switch (take_one()) {
      case attempt::taken: break;
      case attempt::nothing_there: return wait();
      case attempt::shortage: return;
    }
  }
  wait();
}

void acceptor::hold() {
  held_ = true;
  if (wait_until_ready(native_handle(), interest::input, std::chrono::milliseconds{0}))
    counts_.held_back.fetch_add(1, std::memory_order_relaxed);
}

bool acceptor::take_all() {
  for (;;)
    switch (take_one()) {
      case attempt::taken: break;
      case attempt::nothing_there: return true;
      case attempt::shortage: return false;
    }
}

acceptor::attempt acceptor::take_one() {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  owned_fd fd{::accept4(native_handle(), reinterpret_cast<sockaddr*>(&peer), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (fd) {
    bool local = peer.ss_family == AF_UNIX;
    submit({std::move(fd), local, local ? asio::ip::tcp::endpoint{} : endpoint_of(peer)});
    return attempt::taken;
  }
  int error = errno;
  if (error == EAGAIN || error == EWOULDBLOCK)
    return attempt::nothing_there;
  counts_.failed.fetch_add(1, std::memory_order_relaxed);
  counts_.last_failure_at = ticks(clock::now());
  if (is_of_one_connection(error))
    return attempt::taken;
  if (!is_shortage(error) && !said_)
    log_error(who_.name, "cannot accept connections", {{"cause", std::strerror(error)}});
  begin_shortage(error);
  return attempt::shortage;
}

void acceptor::submit(taken_connection taken) {
  if (!taken.local && !has_peer(taken)) {
    counts_.gone.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  try {
    who_.take(std::move(taken));
    counts_.accepted.fetch_add(1, std::memory_order_relaxed);
  } catch (const std::exception& e) {
    counts_.failed.fetch_add(1, std::memory_order_relaxed);
    counts_.last_failure_at = ticks(clock::now());
    log_debug(who_.name, "cannot take a connection", {{"cause", e.what()}});
  }
}

/// What waits in the listener's queue is not lost: it is taken as soon as it can be.
void acceptor::begin_shortage(int error) {
  auto now = clock::now();
  if (counts_.shortage == 0) {
    counts_.shortage_began = ticks(now);
    began_short_ = now;
    failed_before_ = counts_.failed - 1;
  }
  counts_.shortage = error;
  if (!said_
      && (last_said_ == time_point{} || now - last_said_ >= defaults::shortage_log_interval)) {
    said_ = true;
    last_said_ = now;
    log_warn(who_.name, "cannot take new connections for now, they wait",
             {{"cause", std::strerror(error)}});
  }
  last_short_ = now;
  arm_retry();
}

/// While there is a shortage the timer runs, whoever sees it: nothing else would end it.
void acceptor::arm_retry() {
  if (std::exchange(retry_armed_, true))
    return;
  retry_.expires_after(defaults::accept_retry_interval);
  retry_.async_wait([this](const asio::error_code& error) {
    retry_armed_ = false;
    if (error || !is_open())
      return;
    if (!waiting_ && !held_)
      take_some();
    check_shortage();
  });
}

/// It is over when a while has passed without a try that found nothing to make a connection of, so
/// that a shortage that comes and goes with each connection is one. Failures of single connections
/// say nothing of it.
void acceptor::check_shortage() {
  if (counts_.shortage == 0 || !is_open())
    return;
  if (clock::now() - last_short_ < defaults::shortage_over_after)
    return arm_retry();
  counts_.shortage = 0;
  if (!std::exchange(said_, false))
    return;
  std::chrono::duration<double> lasted = last_short_ - began_short_;
  log_fields fields{{"failed_accepts", counts_.failed - failed_before_},
                    {"after_s", lasted.count()}};
  log_info(who_.name, "takes new connections again", fields);
}

} // namespace phi
