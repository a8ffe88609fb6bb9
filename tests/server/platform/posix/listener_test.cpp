#include "server/platform/listener.hpp"
#include "tests/support/doctest.hpp"

#include <cerrno>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

using namespace phi;

TEST_CASE("the listener says why it cannot listen") {
  auto first = open_listener("127.0.0.1", 0);
  REQUIRE(first.why() == "");
  CHECK(address_of(first->get()).port != 0);
  CHECK(open_listener("127.0.0.1", address_of(first->get()).port)
          .why()
          .find("another program uses the port")
        != std::string::npos);
  CHECK(open_listener("203.0.113.77", 0).why().find("server.host") != std::string::npos);
  CHECK(open_listener("no such host", 0).why().find("server.host") != std::string::npos);
}

TEST_CASE("listener: who is bound alone can be reached by nobody, and has the port") {
  auto bound = bind_listener("127.0.0.1", 0);
  REQUIRE(bound.why() == "");
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  ::getsockname(bound->get(), reinterpret_cast<sockaddr*>(&at), &size);
  auto error_of_connect = [&] {
    owned_fd client{::socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    return ::connect(client.get(), reinterpret_cast<sockaddr*>(&at), size) == 0 ? 0 : errno;
  };
  CHECK(error_of_connect() == ECONNREFUSED);
  REQUIRE(listen_on(bound->get()).why() == "");
  CHECK(error_of_connect() == 0);
  CHECK(listen_on(-1).why().find("cannot listen on") == 0);
}

TEST_CASE(
  "listener: once it refuses new clients, who waits is taken and who comes is told at once") {
  for (const auto* host : {"127.0.0.1", "::1", "0.0.0.0"}) {
    CAPTURE(host);
    auto opened = open_listener(host, 0);
    if (!opened && std::string_view{host} == "::1")
      continue; // a machine without IPv6
    REQUIRE(opened.why() == "");
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    ::getsockname(opened->get(), reinterpret_cast<sockaddr*>(&at), &size);
    auto connects = [&] {
      owned_fd client{::socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      bool made = ::connect(client.get(), reinterpret_cast<sockaddr*>(&at), size) == 0;
      return std::pair{std::move(client), made ? 0 : errno};
    };
    auto [waiting, no_error] = connects();
    CHECK(no_error == 0);
    refuse_new_connections(opened->get());
    refuse_new_connections(opened->get()); // of another event loop
    CHECK(connects().second == ECONNREFUSED);
    owned_fd taken{::accept(opened->get(), nullptr, nullptr)};
    REQUIRE(taken);
    CHECK(::send(waiting.get(), "a", 1, 0) == 1);
    char c = 0;
    CHECK(::recv(taken.get(), &c, 1, 0) == 1);
  }
}
