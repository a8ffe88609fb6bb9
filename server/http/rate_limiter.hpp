#pragma once
/// How often somebody may ask: a quota of requests for each client, in memory that does not grow.

#include "protocol/event.hpp"
#include "protocol/time.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace phi::http {

/// So many requests within so long, at once or one by one. What is spent comes back evenly (the
/// generic cell rate algorithm), so that nobody gets two quotas around the turn of a window.
struct rate_policy {
  int64_t requests = 1; ///< 1 to 1 000 000 000
  int64_t window_s = 1; ///< 1 to 86 400
};

struct rate_verdict {
  bool admitted = true;
  int64_t remaining = 0;      ///< requests that would be admitted now
  uint32_t restored_s = 0;    ///< until the whole quota is there, rounded up
  uint32_t retry_after_s = 0; ///< refused: until the next one is admitted, rounded up
};

/// Whom a quota is for: exactly one client, no hash of it.
using rate_key = digest;

/// Of an address; one of IPv6 stands for its /64, of which a client has all. Nothing for what is no
/// address.
std::optional<rate_key> rate_key_of_address(const std::string& address);
/// Of a token, by its id (see api::token); another one than that of any address.
rate_key rate_key_of_token(std::string_view id);

/// Thread-safe. A request takes the lock of one set of a few clients: two event loops wait for each
/// other only for the same client, or for one in thousands by chance.
class rate_limiter {
public:
  static constexpr size_t clients_in_set = 8;
  /// 32 768 clients, 1 MiB; not before the first request that is limited.
  static constexpr size_t usual_sets = 4096;

  /// `seed` says which clients share a set, so that nobody can choose with whom. `sets`: a power of
  /// two.
  explicit rate_limiter(uint64_t seed, size_t sets = usual_sets) : seed_(seed), sets_(sets) {}

  /// Spends a request of `who`, if there is one left. Who has a full quota takes no place. When
  /// all places of a set are taken, the client that has spent least is forgotten: it gets its
  /// quota anew, and nobody is refused for want of a place.
  rate_verdict spend(const rate_key& who, const rate_policy& policy, time_point now) {
    return decide(who, policy, now, true);
  }
  /// What `spend` would say, and spends nothing.
  rate_verdict ask(const rate_key& who, const rate_policy& policy, time_point now) {
    return decide(who, policy, now, false);
  }

private:
  struct place {
    rate_key who{};
    /// When the whole quota is there, in ticks of `clock`: all that is to be known of a client.
    int64_t full_at = std::numeric_limits<int64_t>::min();
  };
  struct set {
    std::mutex mutex;
    std::array<place, clients_in_set> places;
  };

  rate_verdict decide(const rate_key& who, const rate_policy& policy, time_point now, bool spends);
  set& set_of(const rate_key& who);

  uint64_t seed_;
  size_t sets_;
  std::once_flag made_;
  std::unique_ptr<set[]> all_;
};

} // namespace phi::http
