#pragma once
/// What RFC 9112 forbids in the lines of a request and its chunks, and http_parser lets pass. Two
/// programs on one connection that read such bytes differently see different requests, which is how
/// requests are smuggled past a proxy.

#include "protocol/errors.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace phi::http {

class strict_lines {
public:
  /// Looks at the next bytes. False: they are forbidden, for `why`; it must not be called again.
  bool feed(std::string_view bytes);
  error_code why() const { return why_; }

  /// Whether the last request whose header ended lacks the Host that HTTP/1.1 demands, and 1.0 does
  /// not (RFC 9112, section 3.2).
  bool lacks_host() const { return lacks_host_; }

  /// Whether a request has just ended, or none has begun.
  bool between() const { return state_ == state::between && line_.empty(); }

  /// Whether `line`, without its end, is a request line: a method, a target and a version.
  static bool is_request_line(std::string_view line);

private:
  enum class state : uint8_t {
    between,
    header,
    body,       ///< of `left_` bytes
    chunk_line, ///< the length of the next chunk
    chunk_data, ///< of `left_` bytes
    chunk_end,  ///< the CRLF behind it
    trailer,
  };

  bool take_line(std::string_view line);
  bool take_request_line(std::string_view line);
  bool take_field(std::string_view line, bool trailer);
  bool take_coding(std::string_view value);
  bool take_length(std::string_view value);
  bool take_chunk_line(std::string_view line);
  bool end_header();

  state state_ = state::between;
  std::string line_; ///< of which the end has not come yet
  error_code why_ = error_code::bad_http;
  uint64_t left_ = 0;
  uint64_t length_ = 0;
  bool http10_ = false;
  bool has_host_ = false;
  bool lacks_host_ = false;
  bool has_length_ = false;
  bool chunked_ = false;
};

} // namespace phi::http
