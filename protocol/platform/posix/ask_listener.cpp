#include "protocol/platform/ask_listener.hpp"

#include "protocol/platform/descriptor.hpp"
#include "protocol/platform/sockets.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace phi {
namespace {

struct probe_call {
  time_point until;
  const std::atomic<bool>& given_up;
};

/// Whether a socket has become ready for `awaited` in time.
bool wait_for(const owned_fd& socket, interest awaited, const probe_call& call) {
  for (;;) {
    constexpr std::chrono::milliseconds check_interval{20};
    auto ready = wait_until_ready(socket.get(), awaited, check_interval);
    if (ready)
      return true;
    if (ready.failed || call.given_up || clock::now() >= call.until)
      return false;
  }
}

/// "127.0.0.1:3939" or "[::1]:3939"; what listens on all addresses is asked on this machine's.
bool resolve(const std::string& address, sockaddr_storage& to, socklen_t& size) {
  auto colon = address.rfind(':');
  if (colon == address.npos)
    return false;
  auto host = address.substr(0, colon);
  auto port = address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  if (host == "0.0.0.0")
    host = "127.0.0.1";
  if (host == "::")
    host = "::1";
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0)
    return false;
  std::memcpy(&to, found->ai_addr, found->ai_addrlen);
  size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return true;
}

} // namespace

outcome ask_listener(const std::string& address, std::string_view sign, duration limit,
                     const std::atomic<bool>& given_up) {
  sockaddr_storage to{};
  socklen_t size = 0;
  if (!resolve(address, to, size))
    return {}; // nothing that could be asked
  probe_call call{clock::now() + limit, given_up};
  owned_fd own{::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!own)
    return {}; // no descriptor for us: that says nothing about the listener
  if (::connect(own.get(), reinterpret_cast<sockaddr*>(&to), size) != 0 && errno != EINPROGRESS)
    return outcome::failure(address + ": " + std::strerror(errno));
  int error = 0;
  socklen_t error_size = sizeof error;
  if (!wait_for(own, interest::output, call))
    return outcome::failure(address + " does not accept connections");
  if (::getsockopt(own.get(), SOL_SOCKET, SO_ERROR, &error, &error_size) == 0 && error != 0)
    return outcome::failure(address + ": " + std::strerror(error));
  auto request = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 + (sign.empty() ? std::string{} : "X-Phi-Probe: " + std::string{sign} + "\r\n")
                 + "\r\n";
  if (send_some(own.get(), request) != static_cast<ptrdiff_t>(request.size()))
    return outcome::failure(address + ": cannot send");
  char answer[16];
  if (!wait_for(own, interest::input, call))
    return outcome::failure(address + " does not answer a request");
  auto got = ::recv(own.get(), answer, sizeof answer, 0);
  return got >= 5 && std::memcmp(answer, "HTTP/", 5) == 0
           ? outcome{}
           : outcome::failure(address + " ends connections without an answer");
}

} // namespace phi
