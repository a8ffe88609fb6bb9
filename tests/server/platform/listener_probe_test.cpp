// The service asks its own listener, on loopback.

#include "server/platform/listener.hpp"
#include "server/platform/listener_probe.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/serve_one.hpp"

#include <sys/socket.h>

#include <atomic>
#include <memory>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct listening {
  explicit listening(uint16_t port = 0) : fd(std::move(*open_listener("127.0.0.1", port))) {}

  uint16_t port() const { return address_of(fd.get()).port; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  std::string serve() const { return serve_one(fd.get(), "HTTP/1.1 200 OK\r\n\r\n"); }

  owned_fd fd;
};

/// Asked as often as can be.
listener_probe probe_of(std::vector<std::string> addresses) {
  return listener_probe{[addresses = std::move(addresses)] { return addresses; }, 5ms};
}

} // namespace

TEST_CASE("listener probe: asks again and again, as none but this process does") {
  listening at;
  auto probe = probe_of({at.address()});
  CHECK(probe.last().why == "");
  for (int i = 0; i < 3; ++i)
    CHECK(at.serve()
          == "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Phi-Probe: "
               + probe_sign() + "\r\n\r\n");
  CHECK(probe_sign().size() > 10);
  CHECK(probe.last().why == "");
  CHECK(probe.last().failing_for == duration::zero());
}

TEST_CASE("listener probe: a failure lasts since it last answered, until it answers again") {
  auto first = std::make_unique<listening>();
  auto port = first->port();
  auto address = first->address();
  auto probe = probe_of({address});
  for (int i = 0; i < 5; ++i)
    REQUIRE(first->serve() != "");
  auto before = clock::now(); // its last answer, which is the next
  REQUIRE(first->serve() != "");
  first.reset();
  CHECK(eventually([&] { return probe.last().why == address + ": Connection refused"; }, 5s));
  CHECK(eventually([&] { return probe.last().failing_for >= 20ms; }, 5s));
  auto failing = probe.last().failing_for;
  CHECK(failing <= clock::now() - before);
  listening again{port};
  REQUIRE(again.serve() != "");
  CHECK(eventually([&] { return probe.last().why == ""; }, 5s));
  CHECK(probe.last().failing_for == duration::zero());
}

TEST_CASE("listener probe: of several addresses the one that fails is named") {
  listening well;
  std::string dead;
  {
    listening gone;
    dead = gone.address();
  }
  auto probe = probe_of({well.address(), dead});
  CHECK(well.serve() != "");
  CHECK(eventually([&] { return probe.last().why == dead + ": Connection refused"; }, 5s));
  CHECK(well.serve() != ""); // the others are asked all the same
}

TEST_CASE("listener probe: who rests asks nothing more, and says nothing of what was under way") {
  listening mute; // the system takes the connection, nobody answers
  std::atomic<int> rounds{0};
  auto began = clock::now();
  {
    listener_probe probe{[&] {
                           ++rounds;
                           return std::vector{mute.address()};
                         },
                         5ms};
    REQUIRE(wait_until_ready(mute.fd.get(), interest::input, 5s));
    owned_fd asked{::accept(mute.fd.get(), nullptr, nullptr)};
    REQUIRE(rounds == 1);
    probe.rest();
    char c = 0;
    while (::recv(asked.get(), &c, 1, 0) > 0) {
    } // it has given up
    CHECK_FALSE(eventually([&] { return probe.last().why != ""; }, 50ms));
  }
  CHECK(clock::now() - began < defaults::probe_timeout);
  CHECK(rounds == 1);
}

TEST_CASE("listener probe: before its time it asks nobody") {
  bool asked = false;
  {
    listener_probe probe{[&] {
                           asked = true;
                           return std::vector<std::string>{};
                         },
                         1h};
    CHECK(probe.last().why == "");
    CHECK(probe.last().failing_for == duration::zero());
  }
  CHECK_FALSE(asked);
}
