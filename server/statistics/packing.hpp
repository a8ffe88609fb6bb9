#pragma once
/// Numbers and texts packed into bytes: small numbers take few. What is read is not trusted: every
/// length is held against the bytes that are there.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace phi::statistics {

/// A cube whose bytes are not what was written. Its day can be made again from the rows.
class damaged_cube : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// A cube that is whole, and whose version this program does not know.
class newer_cube : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Sums of durations: 2^63 of 2^64 events fit.
using uint128 = unsigned __int128;

/// CRC-32 as of zlib.
uint32_t crc32_of(std::string_view bytes);

/// Seven bits a byte, the lowest first; the highest bit says that there is more.
class packed_writer {
public:
  void put(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }
  /// Small in either direction: -1 is 1, 1 is 2.
  void put_signed(int64_t value) {
    put((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void put_wide(uint128 value);
  void put_text(std::string_view text) {
    put(text.size());
    bytes_.append(text);
  }
  void put_byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void append(std::string_view packed) { bytes_.append(packed); }
  /// As it is, the lowest byte first.
  template <class Number>
  void put_fixed(Number value) {
    for (size_t i = 0; i < sizeof value; ++i)
      bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }

  const std::string& bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

private:
  std::string bytes_;
};

/// Reads what a `packed_writer` wrote. Throws `damaged_cube` at whatever cannot be.
class packed_reader {
public:
  explicit packed_reader(std::string_view bytes)
    : at_(reinterpret_cast<const uint8_t*>(bytes.data())),
      end_(at_ + bytes.size()) {}

  uint64_t get() {
    if (at_ != end_ && *at_ < 0x80)
      return *at_++;
    return get_long();
  }
  int64_t get_signed() {
    auto value = get();
    return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }
  /// At most `most`.
  uint64_t get_up_to(uint64_t most) {
    auto value = get();
    return value <= most ? value : fail();
  }
  /// Of things that take a byte each at least: there cannot be more than bytes that are left.
  size_t get_count() { return get_up_to(left()); }
  uint128 get_wide();
  std::string_view get_text() { return get_bytes(get_count()); }
  uint8_t get_byte() { return at_ != end_ ? *at_++ : static_cast<uint8_t>(fail()); }
  std::string_view get_bytes(size_t size);
  template <class Number>
  Number get_fixed() {
    Number out = 0;
    auto bytes = get_bytes(sizeof out);
    if constexpr (std::endian::native == std::endian::little)
      std::memcpy(&out, bytes.data(), sizeof out);
    else
      for (size_t i = 0; i < sizeof out; ++i)
        out = static_cast<Number>(out | Number{static_cast<uint8_t>(bytes[i])} << (8 * i));
    return out;
  }

  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void must_be_at_end() const {
    if (at_ != end_)
      fail();
  }
  /// Never returns; of a type that fits wherever a number is wanted.
  [[noreturn]] static uint64_t fail();

private:
  uint64_t get_long();

  const uint8_t* at_;
  const uint8_t* end_;
};

} // namespace phi::statistics
