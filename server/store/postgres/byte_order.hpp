#pragma once
/// Numbers as the server sends and reads them in binary: the most significant byte first.

#include <cstddef>
#include <string>

namespace phi::store {

/// An unsigned number.
template <class Number>
void append_big_endian(std::string& to, Number value) {
  char bytes[sizeof value];
  for (size_t i = 0; i < sizeof value; ++i)
    bytes[i] = static_cast<char>(value >> 8 * (sizeof value - 1 - i));
  to.append(bytes, sizeof value);
}

/// As many bytes as the number has.
template <class Number>
Number read_big_endian(const char* bytes) {
  Number out = 0;
  for (size_t i = 0; i < sizeof out; ++i)
    out = static_cast<Number>(out << 8 | static_cast<unsigned char>(bytes[i]));
  return out;
}

} // namespace phi::store
