#pragma once
/// JSON as text, for those who look for something in it without reading all of it.

#include <cstddef>
#include <string_view>

namespace phi {

/// What may stand between two tokens.
inline constexpr const char* json_blanks = " \t\r\n";

/// The quote that ends the string whose quote is at `begin`; npos: none does.
inline size_t end_of_json_string(std::string_view text, size_t begin) {
  for (auto at = begin + 1; at < text.size(); ++at)
    if (text[at] == '\\')
      ++at;
    else if (text[at] == '"')
      return at;
  return text.npos;
}

} // namespace phi
