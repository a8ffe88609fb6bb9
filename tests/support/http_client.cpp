#include "tests/support/http_client.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace phi::testing {

http_client::http_client(uint16_t port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

http_client::~http_client() {
  if (fd_ >= 0)
    ::close(fd_);
}

bool http_client::send(const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    auto n = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    at += static_cast<size_t>(n);
  }
  return true;
}

http_answer http_client::read(std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  // More bytes into rest_; false at the end of the stream or of the time.
  auto more = [&] {
    auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait{fd_, POLLIN, 0};
    if (fd_ < 0 || left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0)
      return false;
    char buffer[65536];
    auto n = ::recv(fd_, buffer, sizeof buffer, 0);
    reset_ = n < 0 && errno == ECONNRESET;
    if (n > 0)
      rest_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  };
  http_answer out;
  size_t head = 0;
  while ((head = rest_.find("\r\n\r\n")) == rest_.npos)
    if (!more()) {
      out.reset = reset_;
      return out;
    }
  size_t at = rest_.find("\r\n");
  out.status = std::stoi(rest_.substr(9, 3));
  while (at < head) {
    auto stop = rest_.find("\r\n", at + 2);
    auto line = rest_.substr(at + 2, stop - at - 2);
    auto colon = line.find(": ");
    auto name = line.substr(0, colon);
    for (auto& c : name)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (colon != line.npos)
      out.headers[name] = line.substr(colon + 2);
    at = stop;
  }
  size_t length =
    out.headers.contains("content-length") ? std::stoul(out.headers["content-length"]) : 0;
  while (rest_.size() < head + 4 + length)
    if (!more())
      break;
  out.body = rest_.substr(head + 4, length);
  rest_.erase(0, head + 4 + length);
  if (out.status == 100) // an interim answer
    return read(limit);
  return out;
}

bool http_client::begins_to_answer(std::chrono::milliseconds limit) {
  pollfd wait{fd_, POLLIN, 0};
  char byte;
  return !rest_.empty()
         || (::poll(&wait, 1, static_cast<int>(limit.count())) > 0
             && ::recv(fd_, &byte, 1, MSG_PEEK) == 1);
}

bool http_client::ended(std::chrono::milliseconds limit) {
  pollfd wait{fd_, POLLIN, 0};
  char byte;
  return ::poll(&wait, 1, static_cast<int>(limit.count())) > 0
         && ::recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

http_answer http_client::get(const std::string& target, const std::string& headers) {
  send("GET " + target + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n");
  return read();
}

http_answer http_client::post(const std::string& target, const std::string& body,
                              const std::string& type, const std::string& headers) {
  send("POST " + target + " HTTP/1.1\r\nHost: test\r\nContent-Type: " + type
       + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
  return read();
}

http_answer get(uint16_t port, const std::string& target, const std::string& headers) {
  return http_client{port}.get(target, headers);
}

http_answer post(uint16_t port, const std::string& target, const std::string& body,
                 const std::string& type, const std::string& headers) {
  return http_client{port}.post(target, body, type, headers);
}

} // namespace phi::testing
