#pragma once
/// A bound on what a JSON library may be given that calls itself for each level.

#include <cstddef>
#include <string_view>

namespace phi {

/// Levels of arrays and objects that anybody needs.
inline constexpr size_t max_json_depth = 64;

/// Whether JSON text nests deeper than `limit`; of other text, whether it may.
inline bool nests_deeper(std::string_view text, size_t limit = max_json_depth) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (in_string)
      continue;
    else if ((c == '[' || c == '{') && ++depth > limit)
      return true;
    else if ((c == ']' || c == '}') && depth > 0)
      --depth;
  }
  return false;
}

} // namespace phi
