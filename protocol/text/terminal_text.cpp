#include "protocol/text/terminal_text.hpp"

#include <cstdint>
#include <cstdio>

namespace phi {
namespace {

struct character {
  uint32_t code = 0;
  size_t bytes = 0; ///< 0: what is there is no UTF-8
};

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
character character_at(std::string_view text, size_t at) {
  auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80)
    return {first, 1};
  size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + bytes > text.size())
    return {};
  uint32_t code = first & (0x7fU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    auto next = static_cast<unsigned char>(text[at + i]);
    if ((next & 0xc0) != 0x80)
      return {};
    code = code << 6 | (next & 0x3f);
  }
  bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
    return {};
  return {code, bytes};
}

bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/// Line and paragraph separators, and what changes the direction of writing.
bool misleads(uint32_t code) {
  return code == 0x2028 || code == 0x2029 || code == 0x200e || code == 0x200f || code == 0x061c
         || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::string escaped(const char* form, unsigned code) {
  char text[16];
  std::snprintf(text, sizeof text, form, code);
  return text;
}

std::string escape_of(uint32_t code) {
  switch (code) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: return escaped(code < 0x80 ? "\\x%02x" : "\\u%04x", code);
  }
}

} // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto [code, bytes] = character_at(text, at);
    if (bytes == 0)
      out += escaped("\\x%02x", static_cast<unsigned char>(text[at]));
    else if (is_control(code) || misleads(code))
      out += escape_of(code);
    else
      out += text.substr(at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return out;
}

std::string printable_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (size_t at = 0; at < json.size();) {
    auto [code, bytes] = character_at(json, at);
    if (bytes == 0)
      out += "\\ufffd";
    else if ((is_control(code) && code != '\n') || misleads(code))
      out += escaped("\\u%04x", code);
    else
      out += json.substr(at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return out;
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    auto bytes = character_at(text, at).bytes;
    if (bytes == 0)
      return at;
    at += bytes;
  }
  return std::string_view::npos;
}

} // namespace phi
