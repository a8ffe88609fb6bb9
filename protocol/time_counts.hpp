#pragma once
/// How long things of one kind took, of all of them since the start. No CAF.

#include "protocol/time.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

namespace phi {

/// Counted by bounds, so that it takes no room however many there are. One writer.
struct time_counts {
  /// In ms, both for a commit on a fast disk and for one behind a lock.
  static constexpr std::array bounds_ms{0.5,   1.0,   2.5,   5.0,    10.0,   25.0,   50.0,
                                        100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0};

  /// Which of `in` counts it: the first bound that it does not exceed; behind them, if none.
  static size_t place_of(duration took) {
    auto ms = std::chrono::duration<double, std::milli>(took).count();
    return static_cast<size_t>(std::lower_bound(bounds_ms.begin(), bounds_ms.end(), ms)
                               - bounds_ms.begin());
  }

  void add(duration took) {
    ++in[place_of(took)];
    total += took;
  }

  uint64_t count() const { return std::accumulate(in.begin(), in.end(), uint64_t{0}); }

  std::array<uint64_t, bounds_ms.size() + 1> in{};
  duration total{};
};

} // namespace phi
