#pragma once
/// How fast the store drains the queue, and what follows from it.

#include "config/defaults.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <cmath>

namespace phi {

class rate_meter {
public:
  /// `events` were committed in `took`.
  void add(uint64_t events, duration took) {
    auto seconds = std::max(std::chrono::duration<double>(took).count(), 1e-4);
    auto rate = static_cast<double>(events) / seconds;
    per_second_ = per_second_ == 0 ? rate : per_second_ + 0.2 * (rate - per_second_);
  }

  double per_second() const { return per_second_; }

  /// Seconds until `backlog` events are drained; 0 while nothing was measured.
  double seconds_for(uint64_t backlog) const {
    return per_second_ > 0 ? static_cast<double>(backlog) / per_second_ : 0;
  }

  /// The value of a Retry-After header for a sender that finds `backlog` events before it.
  uint32_t retry_after_s(uint64_t backlog) const {
    auto seconds = std::ceil(seconds_for(backlog));
    return static_cast<uint32_t>(
      std::clamp<double>(seconds, defaults::retry_after_min_s, defaults::retry_after_max_s));
  }

private:
  double per_second_ = 0;
};

} // namespace phi
