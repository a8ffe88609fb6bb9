#pragma once
/// A cube as another version writes it.

#include "server/statistics/packing.hpp"

#include <cstdint>
#include <string>

namespace phi::testing {

/// The same cube with another number of its version: its head is whole.
inline std::string of_version(std::string body, uint8_t version) {
  constexpr int sections = 8;
  statistics::packed_reader from{body};
  from.get_byte();
  from.get_signed();
  for (int i = 0; i < sections; ++i) {
    from.get();
    from.get_fixed<uint32_t>();
  }
  const auto head = body.size() - from.left();
  body[0] = static_cast<char>(version);
  statistics::packed_writer sum;
  sum.put_fixed(statistics::crc32_of(std::string_view{body}.substr(0, head)));
  return body.replace(head, sizeof(uint32_t), sum.bytes());
}

} // namespace phi::testing
