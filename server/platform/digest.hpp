#pragma once
/// Digests, keyed hashes, identifiers and token checks.

#include "protocol/event.hpp"

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace phi {

/// For tables in memory. Both halves count: a UUIDv7 is time and counter, then 64 bits that stay
/// the same for thousands of them.
struct digest_hash {
  size_t operator()(const digest& value) const noexcept {
    uint64_t halves[2];
    static_assert(sizeof halves == sizeof value);
    std::memcpy(halves, value.data(), sizeof halves);
    return halves[0] * 0x9e3779b97f4a7c15ULL ^ halves[1];
  }
};

/// 64 bits that all depend on all bits of a digest and of `key`, for tables whose size is a power
/// of two: of two UUIDv7 of one millisecond only a few bits differ, in the middle. (The finalizer
/// of MurmurHash3, twice.)
inline uint64_t mixed(const digest& value, uint64_t key) {
  auto mix = [](uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
  };
  uint64_t halves[2];
  std::memcpy(halves, value.data(), sizeof halves);
  return mix(mix(halves[0] ^ key) ^ halves[1]);
}

/// The identity of an event: 128 bits of SHA-256 over (source, id). One instance a thread.
class identity_digest {
public:
  identity_digest();
  ~identity_digest();
  digest of(std::string_view source, std::string_view id);

private:
  struct context;
  std::unique_ptr<context> context_;
};

/// HMAC-SHA256(salt, value), first 16 bytes as 32 hex digits. Without a salt every hash is empty.
/// One instance a thread.
class keyed_hash {
public:
  explicit keyed_hash(const std::string& salt);
  ~keyed_hash();
  std::string of(std::string_view value);

private:
  struct context;
  std::unique_ptr<context> context_;
};

/// UUIDv7 (RFC 9562): sorts by time, so that fresh identities go to the end of their index. One
/// instance a thread; two instances never meet but by chance of 1 in 2^62 in the same millisecond.
class uuid7_source {
public:
  uuid7_source();
  digest next(int64_t now_us);

private:
  uint64_t random_;
  uint64_t counter_ = 0;
};

/// Compares in a time that does not depend on how much of `given` is right.
bool same_token(std::string_view given, std::string_view expected);

/// SHA-256 as 64 hex digits.
std::string hex_digest(std::string_view text);

/// The same for two digests or other texts of one length.
bool same_text(std::string_view a, std::string_view b);

/// 64 random bits from the system.
uint64_t random_bits();

/// `bytes` random bytes from the system as hex digits, good for secrets.
std::string random_hex(size_t bytes);

} // namespace phi
