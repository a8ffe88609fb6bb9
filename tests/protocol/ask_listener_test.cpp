// Asking a listener as a client does, on loopback.

#include "protocol/platform/ask_listener.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/serve_one.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

using namespace phi;
using namespace std::chrono_literals;

namespace {

const std::atomic<bool> never{false};

/// A listener on loopback that answers one client with `answer`, at once.
class answering {
public:
  /// Empty: it ends the connection. `mute`: it takes nobody.
  explicit answering(std::string answer, bool mute = false) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at_.sin_family = AF_INET;
    at_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at_;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at_), sizeof at_) == 0);
    REQUIRE(::listen(fd_, 5) == 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at_), &size);
    if (!mute)
      thread_ = std::thread(
        [this, answer = std::move(answer)] { heard = testing::serve_one(fd_, answer); });
  }
  ~answering() { close(); }
  answering(const answering&) = delete;

  void close() {
    if (thread_.joinable())
      thread_.join();
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = -1;
  }
  std::string address(const std::string& host = "127.0.0.1") const {
    return host + ":" + std::to_string(ntohs(at_.sin_port));
  }
  std::string heard; ///< when it is closed

private:
  int fd_ = -1;
  sockaddr_in at_{};
  std::thread thread_;
};

} // namespace

TEST_CASE("ask listener: whoever answers HTTP is well, whatever the answer says") {
  answering well{"HTTP/1.1 503 Service Unavailable\r\n\r\n"};
  CHECK(ask_listener(well.address(), "", 5s, never).why() == "");
  well.close();
  CHECK(well.heard == "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  answering signed_one{"HTTP/"}; // as much as is needed
  CHECK(ask_listener(signed_one.address("0.0.0.0"), "s1gn", 5s, never).why() == "");
  signed_one.close();
  CHECK(signed_one.heard
        == "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Phi-Probe:"
           " s1gn\r\n\r\n");
}

TEST_CASE("ask listener: what is no answer is said") {
  for (const auto* text : {"", "HTTP", "HELO x\r\n", "SSH-2.0-x\r\n"}) {
    CAPTURE(text);
    answering other{text};
    CHECK(ask_listener(other.address(), "", 5s, never).why()
          == other.address() + " ends connections without an answer");
  }
  answering gone{"", true};
  auto address = gone.address();
  gone.close();
  CHECK(ask_listener(address, "", 5s, never).why() == address + ": Connection refused");
}

TEST_CASE("ask listener: who does not answer is waited for as long as it may take, or is wanted") {
  answering mute{"", true}; // the system takes the connection, the listener does not
  auto began = clock::now();
  CHECK(ask_listener(mute.address(), "", 100ms, never).why()
        == mute.address() + " does not answer a request");
  auto took = clock::now() - began;
  CHECK(took >= 100ms);
  CHECK(took < 3s);
  std::atomic<bool> given_up{true};
  began = clock::now();
  CHECK_FALSE(ask_listener(mute.address(), "", 30s, given_up));
  CHECK(clock::now() - began < 5s);
}

TEST_CASE("ask listener: what cannot be asked is not blamed") {
  for (const auto* address : {"", "127.0.0.1", "host.invalid:80", "127.0.0.1:http", "[::1:80"}) {
    CAPTURE(address);
    CHECK(ask_listener(address, "", 1s, never).why() == "");
  }
}
