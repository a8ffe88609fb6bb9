#include "tests/support/notify_socket.hpp"

#include <cstring>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace phi::testing {

notify_socket::notify_socket(const std::string& path, bool reads) : path_(path), reads_(reads) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0)
    throw std::runtime_error("cannot bind " + path);
  if (reads)
    thread_ = std::thread([this] { run(); });
}

notify_socket::~notify_socket() {
  stop_ = true;
  if (thread_.joinable())
    thread_.join();
  ::close(fd_);
}

void notify_socket::run() {
  while (!stop_) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 20) > 0)
      lines();
  }
}

std::vector<std::string> notify_socket::lines() const {
  std::lock_guard lock{mutex_};
  static thread_local char text[65536];
  while (reads_) {
    auto size = ::recv(fd_, text, sizeof text, MSG_DONTWAIT); // a descriptor with it is closed
    if (size < 0)
      break;
    std::istringstream in{std::string{text, static_cast<size_t>(size)}};
    for (std::string line; std::getline(in, line);)
      lines_.push_back(line);
  }
  return lines_;
}

std::vector<std::string> notify_socket::states() const {
  std::vector<std::string> out;
  for (auto& line : lines())
    if (!line.starts_with("STATUS=") && !line.starts_with("EXTEND_TIMEOUT_USEC=")
        && line != "WATCHDOG=1" && line != "BARRIER=1")
      out.push_back(line.starts_with("MONOTONIC_USEC=") ? "MONOTONIC_USEC" : line);
  return out;
}

size_t notify_socket::count(const std::string& prefix) const {
  size_t n = 0;
  for (const auto& line : lines())
    n += line.starts_with(prefix);
  return n;
}

bool notify_socket::wait_for(const std::string& prefix, size_t times,
                             std::chrono::milliseconds limit) const {
  auto end = std::chrono::steady_clock::now() + limit;
  while (count(prefix) < times) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

} // namespace phi::testing
