#pragma once
/// Finds where requests begin and end on a connection, and what is wrong with them, before RESTinio
/// sees the bytes. RESTinio closes a connection in silence when a request is malformed or too
/// large; because of this class the client gets an answer.

#include "protocol/errors.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace phi::http {

struct framing_limits {
  size_t uri_bytes = 0;
  size_t header_bytes = 0;
  size_t header_count = 0;
  size_t body_bytes = 0;
};

class request_framing {
public:
  enum class stage : unsigned char { between, header, body };

  struct verdict {
    size_t pass = 0;                     ///< how many of the bytes may go on
    error_code error = error_code::none; ///< what is wrong with the bytes behind them
    bool wants_continue = false;         ///< the header asks for "100 Continue"
    bool behind_another = false;         ///< then: a request before it came with these bytes
    std::string head = {};               ///< then: the request's lines, up to the empty one
  };

  /// `limits` must outlive it, and may change between two requests.
  explicit request_framing(const framing_limits& limits);
  ~request_framing();
  request_framing(const request_framing&) = delete;
  request_framing& operator=(const request_framing&) = delete;

  /// Looks at the next bytes. After an error it must not be called again.
  verdict feed(const char* data, size_t size);

  stage now() const;

private:
  struct parser;
  std::unique_ptr<parser> parser_;
};

} // namespace phi::http
