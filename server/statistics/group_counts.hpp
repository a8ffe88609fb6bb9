#pragma once
/// What some events add up to.

#include "server/statistics/cube.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace phi::statistics {

/// Durations by `latency_bucket`: as many as there are different ones.
class duration_counts {
public:
  void add(uint16_t bucket, uint64_t n);
  /// The one of rank ceil(share * all), in microseconds, within `relative_error`; 0 without any.
  double quantile(double share) const;
  bool operator==(const duration_counts&) const = default;

private:
  std::vector<std::pair<uint16_t, uint64_t>> counts_; ///< by bucket, ascending
};

struct group_counts {
  uint64_t n = 0;
  uint64_t client_errors = 0; ///< 400 to 499
  uint64_t server_errors = 0; ///< from 500 on
  uint64_t timed = 0;         ///< those that have a duration
  uint128 sum_us = 0;
  int64_t min_us = 0; ///< with `timed` 0 it says nothing
  int64_t max_us = 0; ///< with `timed` 0 it says nothing
  duration_counts durations;
  uint64_t users = 0;
  uint64_t addresses = 0;

  uint64_t errors() const { return client_errors + server_errors; }
  /// Of those that have a duration; 0 without any.
  double average_us() const;
  /// Within `relative_error`, and never beyond the shortest and the longest.
  double quantile_us(double share) const;
  bool operator==(const group_counts&) const = default;
  /// `status`: of all of them.
  void add(const count_sums& sums, int32_t status);
  /// But for durations, users and addresses, which others may have as well.
  void add(const group_counts& others);
};

} // namespace phi::statistics
