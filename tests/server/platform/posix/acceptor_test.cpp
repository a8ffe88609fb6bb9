#include "server/platform/acceptor.hpp"
#include "server/platform/listener.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <utility>

using namespace phi;

namespace {

/// Below what is open: nothing more can be opened.
class no_descriptors {
public:
  no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none{3, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors(const no_descriptors&) = delete;

private:
  rlimit before_{};
};

} // namespace

TEST_CASE("acceptor: a shortage ends also when the last that failed was one connection's") {
  // A datagram socket: what can be opened is refused as one connection's failure (EOPNOTSUPP).
  owned_fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  socklen_t size = sizeof at;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size);
  owned_fd knocks{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ::sendto(knocks.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&at), size);
  asio::io_context io{1};
  acceptor listener{io, {.name = "listener", .has_room = [] { return true; }, .take = [](auto) {}}};
  listener.open(std::move(socket));
  auto run_until = [&](std::chrono::milliseconds limit, auto done) {
    auto end = clock::now() + limit;
    while (!done() && clock::now() < end)
      io.run_one_for(std::chrono::milliseconds{20});
    return done();
  };
  {
    no_descriptors here;
    REQUIRE(
      run_until(std::chrono::seconds{2}, [&] { return listener.counts().shortage == EMFILE; }));
  }
  auto failed = listener.counts().failed.load();
  CHECK(run_until(std::chrono::seconds{2}, [&] { return listener.counts().failed > failed; }));
  char drop = 0;
  ::recv(listener.native_handle(), &drop, 1, 0); // it is quiet now
  CHECK(run_until(std::chrono::seconds{5}, [&] { return listener.counts().shortage == 0; }));
}
