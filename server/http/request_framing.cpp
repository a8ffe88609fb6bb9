#include "server/http/request_framing.hpp"

#include "server/http/strict_lines.hpp"

#include <http_parser.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <strings.h>
#include <utility>

namespace phi::http {
namespace {

bool is_continue(std::string_view value) {
  constexpr std::string_view wish = "100-continue";
  value = value.substr(0, value.find_last_not_of(" \t") + 1); // the library leaves them there
  return value.size() == wish.size() && strncasecmp(value.data(), wish.data(), wish.size()) == 0;
}

/// Of the lines of a request.
bool expects_continue(std::string_view head) {
  constexpr std::string_view name = "expect:";
  for (size_t at = 0; at < head.size();) {
    auto end = std::min(head.find("\r\n", at), head.size());
    auto line = head.substr(at, end - at);
    at = end + 2;
    if (line.size() < name.size() || strncasecmp(line.data(), name.data(), name.size()) != 0)
      continue;
    line.remove_prefix(std::min(line.find_first_not_of(" \t", name.size()), line.size()));
    if (is_continue(line))
      return true;
  }
  return false;
}

} // namespace

struct request_framing::parser {
  explicit parser(const framing_limits& l) : limits(l) {
    http_parser_init(&machine, HTTP_REQUEST);
    machine.data = this;
    http_parser_settings_init(&callbacks);
    callbacks.on_message_begin = [](http_parser* p) { return self(p).begin(); };
    callbacks.on_url = [](http_parser* p, const char*, size_t n) { return self(p).url(n); };
    callbacks.on_header_field = [](http_parser* p, const char* at, size_t n) {
      return self(p).field(at, n);
    };
    callbacks.on_header_value = [](http_parser* p, const char* at, size_t n) {
      return self(p).value(at, n);
    };
    callbacks.on_headers_complete = [](http_parser* p) { return self(p).headers_complete(); };
    callbacks.on_body = [](http_parser* p, const char*, size_t n) { return self(p).add_body(n); };
    callbacks.on_message_complete = [](http_parser* p) { return self(p).complete(); };
  }

  static parser& self(http_parser* p) { return *static_cast<parser*>(p->data); }

  int fail(error_code code) {
    error = code;
    return -1; // any other value than 0, 1 and 2 stops the parser
  }

  int begin() {
    now = stage::header;
    uri = header = count = body = 0;
    in_value = expect_field = wants_continue = false;
    head.clear();
    return 0;
  }

  int url(size_t n) {
    uri += n;
    return uri > limits.uri_bytes ? fail(error_code::uri_too_long) : 0;
  }

  int add_header(size_t n) {
    header += n;
    return header > limits.header_bytes ? fail(error_code::header_too_large) : 0;
  }

  // Only "Expect" interests us; where it comes in pieces, it is looked for once the head is whole.
  int field(const char* at, size_t n) {
    if (in_value || count == 0) {
      if (++count > limits.header_count)
        return fail(error_code::header_too_large);
      expect_field = n == 6 && strncasecmp(at, "expect", 6) == 0;
    }
    in_value = false;
    // The library's lenient build takes spaces in names; RFC 9112 does not, and proxies differ.
    if (std::memchr(at, ' ', n))
      return fail(error_code::bad_http);
    return add_header(n);
  }

  int value(const char* at, size_t n) {
    in_value = true;
    if (expect_field && is_continue({at, n}))
      wants_continue = true;
    return add_header(n);
  }

  int headers_complete() {
    if (machine.http_major != 1) // 0: the line names no version
      return fail(machine.http_major == 0 ? error_code::bad_http : error_code::unsupported_version);
    if (machine.http_minor == 0)
      wants_continue = false; // RFC 9110, section 10.1.1
    bool has_length = machine.content_length != UINT64_MAX;
    if (has_length && machine.content_length > limits.body_bytes)
      return fail(error_code::body_too_large);
    now = stage::body;
    return 0;
  }

  int add_body(size_t n) {
    body += n; // chunked bodies have no length before
    return body > limits.body_bytes ? fail(error_code::body_too_large) : 0;
  }

  int complete() {
    now = stage::between;
    std::string{}.swap(head);       // a connection that waits keeps no memory
    http_parser_pause(&machine, 1); // so that the end of each message is known
    return 0;
  }

  /// Whether the request, whose head ends in these bytes unless it had ended before, asks for
  /// "100 Continue". Its head is whole then.
  bool asks_to_continue(const char* data, size_t size, stage before) {
    bool asks = std::exchange(wants_continue, false);
    bool in_pieces = before == stage::header && machine.http_minor > 0;
    if (!asks && !in_pieces)
      return false;
    head.append(data, size);
    return asks || expects_continue(head);
  }

  /// Why the machine has stopped: `request`, its bytes that have come now; `taken` of them, what
  /// the machine has taken since it went on.
  error_code why(std::string_view request, std::string_view taken) {
    if (error != error_code::none)
      return error;
    if (HTTP_PARSER_ERRNO(&machine) == HPE_INVALID_METHOD) {
      request.remove_prefix(std::min(request.find_first_not_of("\r\n"), request.size()));
      auto end = request.find("\r\n");
      auto line = request.substr(0, end);
      if (end == request.npos || !strict_lines::is_request_line(line))
        return error_code::bad_http;
      return line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0")
               ? error_code::unknown_method
               : error_code::unsupported_version; // as of HTTP/2's first line
    }
    return lines.feed(taken) ? error_code::bad_http : lines.why();
  }

  const framing_limits& limits;
  http_parser machine{};
  http_parser_settings callbacks{};
  stage now = stage::between;
  error_code error = error_code::none;
  std::string head; ///< of the request that comes in, as far as it came before these bytes
  size_t uri = 0, header = 0, count = 0, body = 0;
  strict_lines lines;
  bool in_value = false, expect_field = false, wants_continue = false;
};

request_framing::request_framing(const framing_limits& limits)
  : parser_(std::make_unique<parser>(limits)) {}

request_framing::~request_framing() = default;

request_framing::stage request_framing::now() const {
  return parser_->now;
}

request_framing::verdict request_framing::feed(const char* data, size_t size) {
  auto& p = *parser_;
  auto before = p.now;
  size_t at = 0;
  size_t last_end = 0;
  while (at < size) {
    auto from = at;
    at += http_parser_execute(&p.machine, &p.callbacks, data + at, size - at);
    bool ended = HTTP_PARSER_ERRNO(&p.machine) == HPE_PAUSED;
    if (!ended && HTTP_PARSER_ERRNO(&p.machine) != HPE_OK)
      return {last_end, p.why({data + last_end, size - last_end}, {data + from, at - from})};
    // Both must find the same end.
    if (!p.lines.feed({data + from, at - from}) || (ended && !p.lines.between()))
      return {last_end, p.lines.why()};
    // Here, because RESTinio does not tell its handler the version of a request.
    if (p.lines.lacks_host())
      return {last_end, error_code::missing_host};
    if (ended) {
      http_parser_pause(&p.machine, 0);
      last_end = at;
    }
    // After a request with "Upgrade" the parser treats the rest as another protocol, which we do
    // not speak: that request is answered and the connection closed.
    if (p.machine.upgrade && p.now == stage::between)
      return {size, error_code::none};
  }
  if (last_end > 0)
    before = stage::between; // the request before this one
  if (p.now == stage::body && p.body == 0
      && p.asks_to_continue(data + last_end, size - last_end, before))
    return {size, error_code::none, true, last_end > 0, p.head};
  if (p.now == stage::header)
    p.head.append(data + last_end, size - last_end);
  return {size};
}

} // namespace phi::http
