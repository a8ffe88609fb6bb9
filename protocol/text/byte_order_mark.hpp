#pragma once
/// The mark that tools of Windows write in front of a text in UTF-8. It is no part of the text.

#include <string_view>

namespace phi {

inline constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

inline std::string_view without_byte_order_mark(std::string_view text) {
  return text.starts_with(byte_order_mark) ? text.substr(byte_order_mark.size()) : text;
}

} // namespace phi
