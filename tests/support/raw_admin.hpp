#pragma once
/// A plain connection to the admin socket, for tests that must see every byte, or leave some
/// unread.

#include <array>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace phi::testing {

class raw_admin {
public:
  explicit raw_admin(const std::string& path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  }
  ~raw_admin() { ::close(fd_); }
  raw_admin(const raw_admin&) = delete;

  bool connected() const { return connected_; }
  bool send(const std::string& text) {
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// One line, or what came until the connection ended or `limit` was over.
  std::string line(std::chrono::milliseconds limit = std::chrono::seconds{5}) {
    std::string out;
    for (char c = 0; c != '\n';) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0 || ::recv(fd_, &c, 1, 0) <= 0)
        break;
      out += c;
    }
    return out;
  }
  /// One line, and the file that came along with its first byte; -1: none did.
  std::pair<std::string, int> line_with_file() {
    char first = 0;
    int file = -1;
    iovec bytes{&first, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof file)> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 5000) <= 0 || ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC) != 1)
      return {{}, -1};
    if (const auto* about = CMSG_FIRSTHDR(&message))
      std::memcpy(&file, CMSG_DATA(about), sizeof file);
    return {first + line(), file};
  }
  bool ended(std::chrono::milliseconds limit = std::chrono::seconds{5}) {
    pollfd waiting{fd_, POLLIN, 0};
    char c = 0;
    return ::poll(&waiting, 1, static_cast<int>(limit.count())) > 0 && ::recv(fd_, &c, 1, 0) <= 0;
  }
  /// Whether the service has ended the connection, whatever lies there unread.
  bool hung_up() const {
    pollfd one{fd_, 0, 0};
    return ::poll(&one, 1, 0) > 0 && (one.revents & POLLHUP) != 0;
  }
  /// What lies there to be read.
  int unread() const {
    int bytes = 0;
    ::ioctl(fd_, FIONREAD, &bytes);
    return bytes;
  }

private:
  int fd_ = -1;
  bool connected_ = false;
};

} // namespace phi::testing
