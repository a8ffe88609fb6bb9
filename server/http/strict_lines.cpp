#include "server/http/strict_lines.hpp"

#include <algorithm>
#include <charconv>
#include <strings.h>
#include <utility>

namespace phi::http {
namespace {

/// A chunk's line with its extensions, which nobody uses.
constexpr size_t longest_chunk_line = 1024;
/// Any other line. The limits of request_framing are lower, and are answered better.
constexpr size_t longest_line = 1 << 20;

bool is_control(char c) {
  auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// `token` of RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [others](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || others.find(c) != others.npos;
  });
}

bool is(std::string_view name, std::string_view expected) {
  return name.size() == expected.size()
         && strncasecmp(name.data(), expected.data(), name.size()) == 0;
}

std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  return first == text.npos ? std::string_view{}
                            : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

} // namespace

bool strict_lines::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (state_ == state::body || state_ == state::chunk_data) {
      auto part = std::min<uint64_t>(left_, bytes.size());
      left_ -= part;
      bytes.remove_prefix(part);
      if (left_ == 0)
        state_ = state_ == state::body ? state::between : state::chunk_end;
      continue;
    }
    auto newline = bytes.find('\n');
    auto part = bytes.substr(0, newline); // all of them when there is none
    bool ends = newline != bytes.npos;
    bytes.remove_prefix(ends ? newline + 1 : bytes.size());
    if (line_.size() + part.size()
        > (state_ == state::chunk_line ? longest_chunk_line : longest_line))
      return false;
    if (line_.empty() && ends) {
      if (!take_line(part))
        return false;
      continue;
    }
    line_.append(part);
    if (ends) {
      if (!take_line(line_))
        return false;
      line_.clear();
    } else if (auto cr = line_.find('\r'); cr != line_.npos && cr + 1 < line_.size()) {
      return false; // RESTinio must not act on it before the end of the line has come
    }
  }
  return true;
}

/// `line` has lost its LF.
bool strict_lines::take_line(std::string_view line) {
  if (line.empty() || line.back() != '\r')
    return false;
  line.remove_suffix(1);
  if (std::any_of(line.begin(), line.end(), is_control))
    return false;
  switch (state_) {
    case state::between: return line.empty() || take_request_line(line); // RFC 9112, section 2.2
    case state::header: return line.empty() ? end_header() : take_field(line, false);
    case state::trailer:
      if (!line.empty())
        return take_field(line, true);
      state_ = state::between;
      return true;
    case state::chunk_line: return take_chunk_line(line);
    case state::chunk_end: state_ = state::chunk_line; return line.empty();
    case state::body:
    case state::chunk_data: break;
  }
  return false;
}

bool strict_lines::is_request_line(std::string_view line) {
  auto first = line.find(' ');
  auto last = line.rfind(' ');
  return first != line.npos && last > first + 1 && line.find(' ', first + 1) == last
         && line.find('\t') == line.npos && is_token(line.substr(0, first))
         && line.substr(last + 1).starts_with("HTTP/");
}

bool strict_lines::take_request_line(std::string_view line) {
  if (!is_request_line(line))
    return false;
  http10_ = line.ends_with(" HTTP/1.0");
  has_host_ = has_length_ = chunked_ = false;
  state_ = state::header;
  return true;
}

bool strict_lines::take_field(std::string_view line, bool trailer) {
  auto colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon)))
    return false; // a line that is folded begins with a space, which is no token
  auto name = line.substr(0, colon);
  auto value = trim(line.substr(colon + 1));
  bool frames = is(name, "Host") || is(name, "Content-Length") || is(name, "Transfer-Encoding");
  if (trailer || !frames)
    return !frames;
  if (is(name, "Host"))
    return !std::exchange(has_host_, true) && value.find_first_of(" \t,/?#@") == value.npos;
  if (is(name, "Content-Length"))
    return !std::exchange(has_length_, true) && take_length(value);
  return !std::exchange(chunked_, true) && !http10_ && take_coding(value);
}

/// RFC 9112, section 6.1: where the last coding is not chunked nobody knows how long the body is;
/// where it is, another one before it is only not understood.
bool strict_lines::take_coding(std::string_view value) {
  if (is(value, "chunked"))
    return true;
  auto last = value.rfind(',');
  bool more = last != value.npos && is(trim(value.substr(last + 1)), "chunked");
  for (auto rest = value.substr(0, last); more && !rest.empty();) {
    auto comma = std::min(rest.find(','), rest.size());
    more = !is(trim(rest.substr(0, comma)), "chunked"); // applied twice, it may not be
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (more)
    why_ = error_code::unsupported_transfer_coding;
  return false;
}

bool strict_lines::take_length(std::string_view value) {
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length_);
  return !value.empty() && error == std::errc{} && end == value.data() + value.size();
}

bool strict_lines::end_header() {
  lacks_host_ = !http10_ && !has_host_;
  if (has_length_ && chunked_)
    return false;
  left_ = has_length_ ? length_ : 0;
  state_ = chunked_ ? state::chunk_line : left_ > 0 ? state::body : state::between;
  return true;
}

bool strict_lines::take_chunk_line(std::string_view line) {
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
  auto rest = line.substr(static_cast<size_t>(end - line.data()));
  if (error != std::errc{} || (!rest.empty() && !trim(rest).starts_with(';')))
    return false;
  state_ = left_ > 0 ? state::chunk_data : state::trailer;
  return true;
}

} // namespace phi::http
