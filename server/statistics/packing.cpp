#include "server/statistics/packing.hpp"

#include <zlib.h>

namespace phi::statistics {

uint32_t crc32_of(std::string_view bytes) {
  return static_cast<uint32_t>(
    ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

void packed_writer::put_wide(uint128 value) {
  for (; value >= 0x80; value >>= 7)
    bytes_.push_back(static_cast<char>(static_cast<uint8_t>(value) | 0x80));
  bytes_.push_back(static_cast<char>(value));
}

uint64_t packed_reader::fail() {
  throw damaged_cube{"what was counted is damaged"};
}

uint64_t packed_reader::get_long() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    auto byte = get_byte();
    auto bits = uint64_t{byte} & 0x7f;
    if (shift == 63 && bits > 1)
      fail();
    value |= bits << shift;
    if (byte < 0x80)
      return value;
  }
  fail();
}

uint128 packed_reader::get_wide() {
  uint128 value = 0;
  for (int shift = 0; shift < 128; shift += 7) {
    auto byte = get_byte();
    auto bits = uint128{byte} & 0x7f;
    if (shift == 126 && bits > 3)
      fail();
    value |= bits << shift;
    if (byte < 0x80)
      return value;
  }
  fail();
}

std::string_view packed_reader::get_bytes(size_t size) {
  if (size > left())
    fail();
  std::string_view out{reinterpret_cast<const char*>(at_), size};
  at_ += size;
  return out;
}

} // namespace phi::statistics
