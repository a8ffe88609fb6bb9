// Sockets that a service manager hands over: in processes that begin as it starts them.

#include "protocol/platform/sockets.hpp"
#include "server/platform/listener.hpp"
#include "server/systemd/inherited.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/own_process.hpp"
#include "tests/support/temp_dir.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

using namespace phi;
using namespace phi::testing;

namespace {

constexpr int first = 3; ///< of those that are handed over

struct start {
  std::vector<int> sockets;
  std::string count{};    ///< said of them; empty: as many as there are
  bool for_us = true;     ///< else they are for another process
  bool with_words = true; ///< else nothing is said of them
};

/// What is open of the descriptors that were handed over: "3 " closed with programs that are
/// started, "4! " inherited by them.
std::string left_open(size_t count) {
  std::string out;
  for (int fd = first; fd < first + static_cast<int>(count); ++fd)
    if (int flags = ::fcntl(fd, F_GETFD); flags >= 0)
      out += std::to_string(fd) + ((flags & FD_CLOEXEC) != 0 ? " " : "! ");
  return out;
}

/// What a process that is started so takes over: ports, or why not; then what of it is open.
std::string taken(const start& how) {
  return in_own_process([&](int words_here) {
           int words = ::fcntl(words_here, F_DUPFD_CLOEXEC, 100);
           std::vector<int> aside;
           for (int fd : how.sockets)
             aside.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
           for (size_t i = 0; i < aside.size(); ++i)
             ::dup2(aside[i], first + static_cast<int>(i));
           auto count = how.count.empty() ? std::to_string(aside.size()) : how.count;
           if (how.with_words) {
             ::setenv("LISTEN_PID", std::to_string(how.for_us ? ::getpid() : 1).c_str(), 1);
             ::setenv("LISTEN_FDS", count.c_str(), 1);
           }
           {
             auto all = systemd::take_inherited_sockets();
             if (!all)
               write_to(words, all.why() + "\n");
             else
               for (const auto& socket : *all)
                 write_to(words, std::to_string(address_of(socket.get()).port) + "\n");
             auto again = systemd::take_inherited_sockets();
             write_to(words, "again " + std::to_string(again->size()) + "\n");
             write_to(words, "open " + left_open(aside.size()) + "\n");
           }
           write_to(words, "at the end " + left_open(aside.size()) + "\n");
         })
    .words;
}

owned_fd tcp() {
  return std::move(*open_listener("127.0.0.1", 0));
}

std::string port_of(const owned_fd& socket) {
  return std::to_string(address_of(socket.get()).port);
}

} // namespace

TEST_CASE("inherited sockets: all are taken over in order, once, and owned") {
  auto one = tcp();
  auto two = tcp();
  CHECK(taken({{two.get(), one.get()}})
        == port_of(two) + "\n" + port_of(one) + "\nagain 0\nopen 3 4 \nat the end \n");
}

TEST_CASE("inherited sockets: what was not handed to us stays as it is") {
  auto one = tcp();
  CHECK(taken({.sockets = {one.get()}, .with_words = false})
        == "again 0\nopen 3! \nat the end 3! \n");
  CHECK(taken({.sockets = {one.get()}, .for_us = false}) == "again 0\nopen 3! \nat the end 3! \n");
  CHECK(taken({.sockets = {one.get()}, .count = "many"}) == "again 0\nopen 3! \nat the end 3! \n");
}

TEST_CASE("inherited sockets: one that we cannot serve is named, and none is kept open") {
  temp_dir dir;
  auto good = tcp();
  owned_fd datagrams{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  auto local = listen_at(dir.path("socket"));
  owned_fd not_listening{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  owned_fd file{::open(dir.path("file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)};
  for (const auto* bad : {&datagrams, &local, &not_listening, &file})
    CHECK(taken({{good.get(), bad->get(), file.get(), good.get()}})
          == "the service manager handed over a socket (descriptor 4) that is no listening TCP"
             " socket; in the socket unit use ListenStream= with a port or an address and a port,"
             " and leave Accept= at no\nagain 0\nopen \nat the end \n");
}
