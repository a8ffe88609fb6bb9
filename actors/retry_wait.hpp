#pragma once
/// How long to wait before the next try of something that fails: doubled each time, within bounds,
/// and spread, so that many instances do not come back at the same moment. Without a last try.

#include "config/defaults.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <random>

namespace phi {

class retry_wait {
public:
  explicit retry_wait(uint32_t seed = std::random_device{}()) : random_(seed) {}

  /// Between half of the present wait and the whole.
  duration next() {
    auto whole = wait_;
    wait_ = std::min<duration>(wait_ * 2, defaults::replay_wait_max);
    std::uniform_real_distribution<double> share{0.5, 1.0};
    return std::chrono::duration_cast<duration>(whole * share(random_));
  }

  void succeeded() { wait_ = defaults::replay_wait; }

private:
  std::mt19937 random_;
  duration wait_ = defaults::replay_wait;
};

} // namespace phi
