// What a service manager is told, message by message, also one that does not read.

#include "server/systemd/service_manager.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/temp_dir.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace phi;
using namespace phi::systemd;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// The socket of a manager that reads when the test says so.
class told_manager {
public:
  /// '@' at the beginning: an abstract address.
  explicit told_manager(const std::string& address) : address_(address) {
    at_.sun_family = AF_UNIX;
    std::memcpy(at_.sun_path, address.data(), address.size());
    if (address[0] == '@')
      at_.sun_path[0] = '\0';
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at_), size_) == 0);
  }

  const char* address() const { return address_.c_str(); }

  /// All messages that have come; those that `hang` sent are left out.
  std::vector<std::string> read() {
    std::vector<std::string> out;
    std::string text(65536, '\0');
    for (;;) {
      auto size = ::recv(fd_.get(), text.data(), text.size(), MSG_DONTWAIT);
      if (size < 0)
        return out;
      if (size > 0)
        out.push_back(text.substr(0, static_cast<size_t>(size)));
    }
  }

  /// Nobody can send any more, until all is read.
  void hang() {
    std::vector<owned_fd> others; // each has room for a few only
    for (bool sent = true; sent;) {
      others.emplace_back(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sent = knocks(others.back());
      while (sent && knocks(others.back())) {
      }
    }
    REQUIRE(errno == EAGAIN);
  }

  /// Waits for a message; the descriptor that came along with it.
  owned_fd descriptor() {
    char text[64];
    iovec into{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr packet{};
    packet.msg_iov = &into;
    packet.msg_iovlen = 1;
    packet.msg_control = control;
    packet.msg_controllen = sizeof control;
    if (::recvmsg(fd_.get(), &packet, 0) <= 0)
      return {};
    int received = -1;
    if (auto* header = CMSG_FIRSTHDR(&packet))
      std::memcpy(&received, CMSG_DATA(header), sizeof received);
    return owned_fd{received};
  }

private:
  bool knocks(const owned_fd& from) const {
    return ::sendto(from.get(), "", 0, 0, reinterpret_cast<const sockaddr*>(&at_), size_) == 0;
  }

  owned_fd fd_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un at_{};
  socklen_t size_ = 0;
  std::string address_;
};

using messages = std::vector<std::string>;

struct under_manager {
  temp_dir dir;
  told_manager manager{dir.path("notify")};
  scoped_variable address{"NOTIFY_SOCKET", manager.address()};
  scoped_variable of{"WATCHDOG_PID"};
  scoped_variable limit{"WATCHDOG_USEC"};
  service_manager service;
};

/// The value of MONOTONIC_USEC, which is taken out.
int64_t take_monotonic(std::string& message) {
  auto at = message.find("MONOTONIC_USEC=");
  REQUIRE(at != message.npos);
  auto end = message.find('\n', at) + 1;
  auto value = std::stoll(message.substr(at + 15, end - at - 15));
  message.erase(at, end - at);
  return value;
}

int64_t now_us() {
  return clock::now().time_since_epoch() / std::chrono::microseconds{1};
}

} // namespace

TEST_CASE("service manager: each word is one message, in the manager's own terms") {
  under_manager at;
  REQUIRE(at.service.present());
  at.service.status("opens the store");
  at.service.status("opens the store"); // it is shown already
  at.service.extend(1500ms);
  at.service.ready("ready");
  at.service.beat();
  auto before = now_us();
  at.service.reloading("reloads");
  auto after = now_us();
  at.service.late("store is late");
  at.service.ready("ready");
  at.service.late("");
  at.service.trigger();
  at.service.stopping("stops");
  auto told = at.manager.read();
  REQUIRE(told.size() == 10);
  auto when = take_monotonic(told[4]);
  CHECK(when >= before);
  CHECK(when <= after);
  CHECK(told
        == messages{"STATUS=opens the store\n", "EXTEND_TIMEOUT_USEC=1500000\n",
                    "READY=1\nSTATUS=ready\n", "WATCHDOG=1\n", "RELOADING=1\nSTATUS=reloads\n",
                    "STATUS=reloads; store is late\n", "READY=1\nSTATUS=ready; store is late\n",
                    "STATUS=ready\n", "WATCHDOG=trigger\n", "STOPPING=1\nSTATUS=stops\n"});
}

TEST_CASE("service manager: a status is one line of text, and no longer than it takes") {
  under_manager at;
  at.service.status("a\nREADY=1\r\nb");
  at.service.status(std::string{"c\0d", 3});
  at.service.status("Gr\xfc\xdf"
                    "e, Gr\u00fc\u00dfe"); // the first is no UTF-8
  at.service.status(std::string(1024, 'x'));
  at.service.status(std::string(1025, 'x'));
  at.service.status(std::string(1022, 'x') + "\u65e5\u672c"); // it would be cut in the middle
  CHECK(at.manager.read()
        == messages{
          "STATUS=a READY=1  b\n", "STATUS=c d\n", "STATUS=Gr\\xfc\\xdfe, Gr\u00fc\u00dfe\n",
          "STATUS=" + std::string(1024, 'x') + "\n", "STATUS=" + std::string(1024, 'x') + "...\n",
          "STATUS=" + std::string(1022, 'x') + "...\n"});
}

TEST_CASE("service manager: without one nothing is sent, and no sign of life is asked for") {
  temp_dir dir;
  told_manager nobody{dir.path("notify")};
  scoped_variable limit{"WATCHDOG_USEC", "10000000"};
  scoped_variable of{"WATCHDOG_PID"};
  scoped_variable address{"NOTIFY_SOCKET"};
  for (const auto* text : {"", "notify", "vsock:2:1234"}) { // a place that we cannot reach
    CAPTURE(text);
    address.set(text);
    service_manager service;
    CHECK_FALSE(service.present());
    CHECK_FALSE(service.watchdog_limit());
    service.ready("ready");
    service.beat();
    auto began = clock::now();
    service.barrier(10s);
    CHECK(clock::now() - began < 5s);
  }
  CHECK(nobody.read().empty());
}

TEST_CASE("service manager: signs of life are asked for by a time, and of a process") {
  temp_dir dir;
  told_manager manager{dir.path("notify")};
  scoped_variable address{"NOTIFY_SOCKET", manager.address()};
  scoped_variable limit{"WATCHDOG_USEC", "10000000"};
  scoped_variable of{"WATCHDOG_PID"};
  CHECK(service_manager{}.watchdog_limit() == duration{10s});
  of.set(std::to_string(::getpid()));
  CHECK(service_manager{}.watchdog_limit() == duration{10s});
  of.set("1"); // of its parent
  CHECK_FALSE(service_manager{}.watchdog_limit());
  of.set(nullptr);
  for (const auto* text : {"0", "soon", ""}) {
    limit.set(text);
    CHECK_FALSE(service_manager{}.watchdog_limit());
  }
}

TEST_CASE("service manager: one at an abstract address hears as well, and no other does") {
  auto name = "@phi-test-" + std::to_string(::getpid());
  told_manager manager{name};
  told_manager neighbour{name + "0"};
  scoped_variable address{"NOTIFY_SOCKET", manager.address()};
  service_manager service;
  service.ready("ready");
  CHECK(manager.read() == messages{"READY=1\nSTATUS=ready\n"});
  CHECK(neighbour.read().empty());
}

TEST_CASE("service manager: what one that hangs could not be sent goes with the next message") {
  under_manager at;
  at.manager.hang();
  auto began = clock::now();
  at.service.ready("ready");
  at.service.status("1 event");
  at.service.extend(1s);
  at.service.reloading("reloads");
  auto before = now_us();
  at.service.reloading("reloads again");
  at.service.extend(2s);
  at.service.status("2 events");
  at.service.late("store is late");
  for (int i = 0; i < 10; ++i)
    at.service.beat(); // is not kept, nor is anything lost with it
  CHECK(clock::now() - began < 5s);
  CHECK(at.manager.read().empty());
  at.service.status("3 events");
  auto told = at.manager.read();
  REQUIRE(told.size() == 1);
  CHECK(take_monotonic(told[0]) >= before);
  CHECK(told[0]
        == "READY=1\nRELOADING=1\nEXTEND_TIMEOUT_USEC=2000000\n"
           "STATUS=3 events; store is late\n");
  at.service.beat();
  CHECK(at.manager.read() == messages{"WATCHDOG=1\n"}); // the rest was said
}

TEST_CASE("service manager: what waits for one that hangs never grows beyond what it reads") {
  under_manager at;
  at.manager.hang();
  at.service.trigger();
  for (int i = 0; i < 100; ++i) {
    at.service.reloading(std::string(5000, 'x') + std::to_string(i));
    at.service.ready(std::string(5000, 'y') + std::to_string(i));
    at.service.extend(std::chrono::seconds{i});
    at.service.trigger();
  }
  at.service.stopping("stops");
  at.manager.read();
  at.service.beat();
  auto told = at.manager.read();
  REQUIRE(told.size() == 1);
  take_monotonic(told[0]);
  CHECK(told[0]
        == "RELOADING=1\nREADY=1\nEXTEND_TIMEOUT_USEC=99000000\nWATCHDOG=trigger\nSTOPPING=1\n"
           "STATUS=stops\nWATCHDOG=1\n");
}

TEST_CASE("service manager: the end waits until all is read, and for one that hangs its limit") {
  under_manager at;
  at.manager.hang();
  at.service.stopping("stops");
  auto began = clock::now();
  at.service.barrier(10s); // there is no room for it
  CHECK(clock::now() - began < 5s);
  CHECK(at.manager.read().empty());
  began = clock::now();
  at.service.barrier(50ms);
  CHECK(clock::now() - began >= 50ms);
  // Alone: the manager ignores whatever else a message with a barrier says.
  CHECK(at.manager.read() == messages{"STOPPING=1\nSTATUS=stops\n", "BARRIER=1"});
  bool came_along = false;
  std::thread reads{[&] { came_along = static_cast<bool>(at.manager.descriptor()); }};
  began = clock::now();
  at.service.barrier(30s);
  CHECK(clock::now() - began < 20s);
  reads.join();
  CHECK(came_along);
}
