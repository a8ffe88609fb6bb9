#include "server/platform/digest.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace phi {
namespace {

using sha256 = std::array<unsigned char, 32>;

sha256 sha256_of(std::string_view text) {
  sha256 out{};
  EVP_Digest(text.data(), text.size(), out.data(), nullptr, EVP_sha256(), nullptr);
  return out;
}

std::string to_hex(const unsigned char* bytes, size_t size) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out(2 * size, '0');
  for (size_t i = 0; i < size; ++i) {
    out[2 * i] = hex[bytes[i] >> 4];
    out[2 * i + 1] = hex[bytes[i] & 15];
  }
  return out;
}

} // namespace

// Fetched once: looking an algorithm up by name costs more than hashing a short text.
struct identity_digest::context {
  EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* ctx = EVP_MD_CTX_new();
  ~context() {
    EVP_MD_CTX_free(ctx);
    EVP_MD_free(md);
  }
};

identity_digest::identity_digest() : context_(std::make_unique<context>()) {}
identity_digest::~identity_digest() = default;

digest identity_digest::of(std::string_view source, std::string_view id) {
  // The length keeps ("ab", "c") apart from ("a", "bc").
  auto length = static_cast<uint64_t>(source.size());
  sha256 whole{};
  bool ok = EVP_DigestInit_ex2(context_->ctx, context_->md, nullptr) == 1
            && EVP_DigestUpdate(context_->ctx, &length, sizeof length) == 1
            && EVP_DigestUpdate(context_->ctx, source.data(), source.size()) == 1
            && EVP_DigestUpdate(context_->ctx, id.data(), id.size()) == 1
            && EVP_DigestFinal_ex(context_->ctx, whole.data(), nullptr) == 1;
  if (!ok)
    throw std::runtime_error("SHA-256 is not available");
  digest out{};
  std::copy_n(whole.begin(), out.size(), out.begin());
  return out;
}

struct keyed_hash::context {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* ctx = EVP_MAC_CTX_new(mac);
  ~context() {
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
  }
};

keyed_hash::keyed_hash(const std::string& salt) {
  if (salt.empty())
    return;
  context_ = std::make_unique<context>();
  char name[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                         OSSL_PARAM_construct_end()};
  if (EVP_MAC_init(context_->ctx, reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                   params)
      != 1)
    throw std::runtime_error("HMAC-SHA256 is not available");
}

keyed_hash::~keyed_hash() = default;

std::string keyed_hash::of(std::string_view value) {
  if (!context_)
    return {};
  sha256 whole{};
  size_t size = 0;
  bool ok = EVP_MAC_init(context_->ctx, nullptr, 0, nullptr) == 1
            && EVP_MAC_update(context_->ctx, reinterpret_cast<const unsigned char*>(value.data()),
                              value.size())
                 == 1
            && EVP_MAC_final(context_->ctx, whole.data(), &size, whole.size()) == 1;
  if (!ok)
    throw std::runtime_error("HMAC-SHA256 failed");
  return to_hex(whole.data(), 16);
}

uint64_t random_bits() {
  uint64_t out = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof out) != 1)
    throw std::runtime_error("the system gives no random numbers");
  return out;
}

uuid7_source::uuid7_source() : random_(random_bits()) {}

digest uuid7_source::next(int64_t now_us) {
  auto ms = static_cast<uint64_t>(now_us / 1000);
  auto count = counter_++;
  if ((count & 0xfff) == 0xfff)
    random_ = random_bits();
  digest out{};
  for (int i = 0; i < 6; ++i)
    out[i] = static_cast<uint8_t>(ms >> (40 - 8 * i));
  out[6] = static_cast<uint8_t>(0x70 | ((count >> 8) & 0x0f));
  out[7] = static_cast<uint8_t>(count);
  std::memcpy(&out[8], &random_, 8);
  out[8] = static_cast<uint8_t>(0x80 | (out[8] & 0x3f));
  return out;
}

std::string hex_digest(std::string_view text) {
  auto bytes = sha256_of(text);
  return to_hex(bytes.data(), bytes.size());
}

bool same_text(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_hex(size_t bytes) {
  std::vector<unsigned char> random(bytes);
  if (RAND_bytes(random.data(), static_cast<int>(bytes)) != 1)
    throw std::runtime_error("the system gives no random bytes");
  return to_hex(random.data(), random.size());
}

bool same_token(std::string_view given, std::string_view expected) {
  // Digests have one length, so the comparison tells nothing about the token's.
  auto a = sha256_of(given);
  auto b = sha256_of(expected);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace phi
