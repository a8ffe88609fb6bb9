#pragma once
/// A listener on loopback, its event loop that the test turns, and clients that knock.

#include "server/http/loop_listener.hpp"
#include "server/platform/listener.hpp"
#include "tests/support/connected_link.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace phi::testing {

/// A client whose calls do not wait.
struct knocking {
  owned_fd fd;
  bool connected = false;

  void send(const std::string& text) const {
    [[maybe_unused]] auto sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  void close() { fd.reset(); }
  /// What has come, and stays there.
  std::string received() const {
    std::string out(4096, '\0');
    auto size = ::recv(fd.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_PEEK);
    out.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return out;
  }
  /// Whether the service has ended the connection.
  bool ended() const {
    pollfd one{fd.get(), POLLRDHUP, 0};
    return ::poll(&one, 1, 0) > 0 && (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }
};

struct loop_listener_fixture {
  void open(bool inherited = false, size_t places = 100, size_t listeners = 1) {
    std::vector<owned_fd> all;
    for (size_t i = 0; i < listeners; ++i) {
      auto made = open_listener("127.0.0.1", 0);
      if (!made)
        throw std::runtime_error(made.why());
      ports.push_back(address_of(made->get()).port);
      if (inherited)
        heir = owned_fd{::dup(made->get())};
      all.push_back(std::move(*made));
    }
    front.open(std::move(all), inherited, places, [this](restinio::request_handle_t request) {
      ++requests;
      waiting.push_back(std::move(request));
      return restinio::request_accepted();
    });
  }

  knocking knock(size_t listener = 0) const {
    knocking out{owned_fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}};
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(ports.at(listener));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    out.connected = ::connect(out.fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    return out;
  }

  template <class Done>
  bool run_until(Done done, std::chrono::milliseconds limit = std::chrono::seconds{5}) {
    for (auto end = clock::now() + limit; !done() && clock::now() < end;) {
      loop.io.restart();
      loop.io.run_one_for(std::chrono::milliseconds{5});
    }
    return done();
  }
  void run_for(std::chrono::milliseconds time) {
    run_until([] { return false; }, time);
  }

  turned_loop loop;
  http::loop_listener front{loop.io, loop.links};
  owned_fd heir; ///< of an inherited listener: the service manager's
  std::vector<uint16_t> ports;
  int requests = 0;
  std::vector<restinio::request_handle_t> waiting; ///< for their answers
};

} // namespace phi::testing
