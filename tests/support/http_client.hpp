#pragma once
/// A plain HTTP/1.1 client on a socket of its own, for tests that must see every byte.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace phi::testing {

struct http_answer {
  int status = 0;                             ///< 0: the connection ended without an answer
  std::map<std::string, std::string> headers; ///< names in lower case
  std::string body;
  bool reset = false; ///< it ended by a reset

  bool closes() const {
    auto at = headers.find("connection");
    return at != headers.end() && at->second == "close";
  }
};

class http_client {
public:
  explicit http_client(uint16_t port);
  ~http_client();
  http_client(const http_client&) = delete;

  bool connected() const { return fd_ >= 0; }
  bool send(const std::string& bytes);
  /// Reads one answer.
  http_answer read(std::chrono::milliseconds limit = std::chrono::seconds{30});
  /// Waits for the first bytes of an answer, which stay to be read.
  bool begins_to_answer(std::chrono::milliseconds limit = std::chrono::seconds{30});
  /// Whether the other side has ended the connection.
  bool ended(std::chrono::milliseconds limit = std::chrono::seconds{5});
  int fd() const { return fd_; }

  http_answer get(const std::string& target, const std::string& headers = "");
  http_answer post(const std::string& target, const std::string& body,
                   const std::string& type = "application/json", const std::string& headers = "");

private:
  int fd_ = -1;
  std::string rest_;
  bool reset_ = false;
};

/// One request on a connection of its own.
http_answer get(uint16_t port, const std::string& target, const std::string& headers = "");
http_answer post(uint16_t port, const std::string& target, const std::string& body,
                 const std::string& type = "application/json", const std::string& headers = "");

} // namespace phi::testing
