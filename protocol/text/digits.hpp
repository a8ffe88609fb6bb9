#pragma once
/// Numbers for people, the same in the status line and in phictl.

#include <cstdint>
#include <string>

namespace phi {

/// 1234567 as "1 234 567".
inline std::string group_digits(uint64_t number) {
  auto digits = std::to_string(number);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0)
      out += ' ';
    out += digits[i];
  }
  return out;
}

} // namespace phi
