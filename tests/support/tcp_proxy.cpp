#include "tests/support/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace phi::testing {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  return at;
}

/// The socket and its port.
std::pair<int, uint16_t> listen_on_loopback() {
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto at = loopback(0);
  socklen_t size = sizeof at;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener, 64) != 0)
    throw std::runtime_error("cannot listen on loopback");
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
  return {listener, ntohs(at.sin_port)};
}

} // namespace

// The system makes the connections; nobody takes them.
mute_server::mute_server() {
  std::tie(listener_, port_) = listen_on_loopback();
}

mute_server::~mute_server() {
  ::close(listener_);
}

tcp_proxy::tcp_proxy(uint16_t to) : to_(to) {
  std::tie(listener_, port_) = listen_on_loopback();
  thread_ = std::thread{[this] { run(); }};
}

tcp_proxy::~tcp_proxy() {
  stop_ = true;
  thread_.join();
  for (auto& one : links_)
    end(one, false);
  ::close(listener_);
}

/// False: this direction has ended.
bool tcp_proxy::pass_on(int from, int to) const {
  std::array<char, 65536> buffer;
  auto got = ::recv(from, buffer.data(), buffer.size(), 0);
  if (got <= 0)
    return false;
  for (ssize_t sent = 0; sent < got;) {
    auto now = ::send(to, buffer.data() + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (now <= 0)
      return false;
    sent += now;
  }
  return true;
}

void tcp_proxy::end(link& one, bool by_reset) const {
  linger hard{1, 0};
  for (int* fd : {&one.client, &one.server}) {
    if (by_reset)
      ::setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(*fd);
    *fd = -1;
  }
}

void tcp_proxy::run() {
  while (!stop_) {
    if (reset_.exchange(false)) {
      for (auto& one : links_)
        end(one, true);
      links_.clear();
    }
    std::vector<pollfd> wanted{{listener_, POLLIN, 0}};
    if (!cut_)
      for (const auto& one : links_)
        wanted.insert(wanted.end(), {{one.client, POLLIN, 0}, {one.server, POLLIN, 0}});
    ::poll(wanted.data(), wanted.size(), 5);
    for (size_t i = 0; 2 * i + 2 < wanted.size(); ++i) {
      auto& one = links_[i];
      bool alive = !(wanted[2 * i + 1].revents && !pass_on(one.client, one.server))
                   && !(wanted[2 * i + 2].revents && !pass_on(one.server, one.client));
      if (!alive)
        end(one, false);
    }
    std::erase_if(links_, [](const link& one) { return one.client < 0; });
    if (!(wanted[0].revents & POLLIN))
      continue;
    link fresh{::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC),
               ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto at = loopback(to_);
    if (::connect(fresh.server, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0)
      links_.push_back(fresh);
    else
      end(fresh, true);
  }
}

} // namespace phi::testing
