#include "server/platform/listener.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>

namespace phi {
namespace {

constexpr int listen_queue = 4096;

std::string explain(const std::string& where, int error) {
  auto text = "cannot listen on " + where + ": " + std::strerror(error);
  if (error == EADDRINUSE)
    text += "; another program uses the port, choose another with server.port";
  if (error == EACCES)
    text += "; ports below 1024 need a privilege, choose another with server.port";
  if (error == EADDRNOTAVAIL)
    text += "; this machine has no such address, see server.host";
  return text;
}

/// For older systems: attempts to connect are ignored, and the client tries again after a second.
void ignore_new_connections(int listener) {
  // Linux applies a listener's filter to the TCP header of what arrives: drop SYN without ACK.
  constexpr uint32_t flags_at = 13;
  constexpr uint32_t syn = 0x02;
  constexpr uint32_t ack = 0x10;
  sock_filter program[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_at),   BPF_STMT(BPF_ALU | BPF_AND | BPF_K, syn | ack),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syn, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  sock_fprog filter{sizeof program / sizeof program[0], program};
  // Where it is not to be had, a connection may be reset in the moment of closing; nothing is lost.
  ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

} // namespace

result<owned_fd> bind_listener(const std::string& host, uint16_t port) {
  auto where = host + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
      error != 0)
    return outcome::failure("cannot listen on " + where + ": " + ::gai_strerror(error)
                            + ", see server.host");
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard{list, &::freeaddrinfo};
  owned_fd fd{::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  int yes = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0
      || ::bind(fd.get(), list->ai_addr, list->ai_addrlen) != 0)
    return outcome::failure(explain(where, errno));
  return fd;
}

outcome listen_on(int bound) {
  if (::listen(bound, listen_queue) == 0)
    return {};
  int error = errno; // another has bound it as well, and was faster
  auto at = address_of(bound);
  return outcome::failure(explain(at.host + ":" + std::to_string(at.port), error));
}

result<owned_fd> open_listener(const std::string& host, uint16_t port) {
  auto bound = bind_listener(host, port);
  if (!bound)
    return bound;
  if (auto listens = listen_on(bound->get()); !listens)
    return outcome::failure(listens.why());
  return bound;
}

bound_address address_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  bound_address out;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return out;
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    out.host = ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    out.port = ntohs(v6.sin6_port);
    out.loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)
                   || (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    out.host = ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    out.port = ntohs(v4.sin_port);
    out.loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  return out;
}

void refuse_new_connections(int listener) {
  // A listener that is bound to an interface which does not exist is found by no SYN, and the
  // system answers with a reset; handshakes that have begun know their listener and complete.
  // (Linux 5.7 lets everybody bind an unbound socket so.)
  constexpr int no_interface = std::numeric_limits<int>::max();
  int bound_to = 0;
  socklen_t size = sizeof bound_to;
  if (::getsockopt(listener, SOL_SOCKET, SO_BINDTOIFINDEX, &bound_to, &size) == 0
      && bound_to == no_interface)
    return; // another event loop's copy of the same socket
  if (::setsockopt(listener, SOL_SOCKET, SO_BINDTOIFINDEX, &no_interface, sizeof no_interface) != 0)
    ignore_new_connections(listener);
}

} // namespace phi
