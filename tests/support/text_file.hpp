#pragma once
/// Files as texts.

#include <fstream>
#include <iterator>
#include <string>

namespace phi::testing {

/// Empty when it is not there.
inline std::string text_in(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

inline void write_text(const std::string& file, const std::string& text) {
  std::ofstream{file, std::ios::binary} << text;
}

} // namespace phi::testing
