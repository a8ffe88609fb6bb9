#include "server/http/rate_limiter.hpp"

#include "protocol/platform/addresses.hpp"
#include "server/platform/digest.hpp"

#include <algorithm>

namespace phi::http {
namespace {

/// The first byte of a key: what it is of. 0 is nobody's.
enum class key_kind : unsigned char { address_v4 = 1, network_v6, token };

rate_key key_of(key_kind kind, const unsigned char* bytes, size_t count) {
  rate_key out{};
  out[0] = static_cast<rate_key::value_type>(kind);
  for (size_t i = 0; i < std::min(count, out.size() - 1); ++i)
    out[i + 1] = static_cast<rate_key::value_type>(bytes[i]);
  return out;
}

constexpr int64_t ticks_per_second =
  std::chrono::duration_cast<duration>(std::chrono::seconds{1}).count();

uint32_t seconds_of(int64_t ticks) {
  return static_cast<uint32_t>((ticks + ticks_per_second - 1) / ticks_per_second);
}

} // namespace

std::optional<rate_key> rate_key_of_address(const std::string& address) {
  constexpr size_t bytes_of_v4 = 4;
  constexpr size_t bytes_of_network = 8;
  const auto bytes = bytes_of_address(address);
  if (bytes.empty())
    return {};
  return bytes.size() == bytes_of_v4 ? key_of(key_kind::address_v4, bytes.data(), bytes_of_v4)
                                     : key_of(key_kind::network_v6, bytes.data(), bytes_of_network);
}

rate_key rate_key_of_token(std::string_view id) {
  return key_of(key_kind::token, reinterpret_cast<const unsigned char*>(id.data()), id.size());
}

rate_limiter::set& rate_limiter::set_of(const rate_key& who) {
  std::call_once(made_, [this] { all_ = std::make_unique<set[]>(sets_); });
  return all_[mixed(who, seed_) & (sets_ - 1)];
}

rate_verdict rate_limiter::decide(const rate_key& who, const rate_policy& policy, time_point now,
                                  bool spends) {
  const auto each = std::max<int64_t>(1, policy.window_s * ticks_per_second / policy.requests);
  const auto whole = each * policy.requests;
  const auto at = now.time_since_epoch().count();
  auto& its = set_of(who);
  std::lock_guard lock{its.mutex};
  auto* found = its.places.data();
  for (auto& candidate : its.places) {
    if (candidate.who == who) {
      found = &candidate;
      break;
    }
    if (candidate.full_at < found->full_at)
      found = &candidate;
  }
  const bool known = found->who == who && found->full_at > at;
  // A policy that has changed gives nobody a longer wait than its own.
  auto spent = known ? std::min(found->full_at - at, whole) : 0;
  const bool admitted = spent + each <= whole;
  if (admitted && spends) {
    spent += each;
    *found = {who, at + spent};
  }
  return {.admitted = admitted,
          .remaining = (whole - spent) / each,
          .restored_s = seconds_of(spent),
          .retry_after_s = admitted ? 0 : seconds_of(spent + each - whole)};
}

} // namespace phi::http
