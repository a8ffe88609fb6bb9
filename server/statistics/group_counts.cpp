#include "server/statistics/group_counts.hpp"

#include "server/statistics/latency.hpp"

#include <algorithm>
#include <cmath>

namespace phi::statistics {

void duration_counts::add(uint16_t bucket, uint64_t n) {
  auto at = std::lower_bound(counts_.begin(), counts_.end(), std::pair{bucket, uint64_t{0}});
  if (at != counts_.end() && at->first == bucket)
    at->second += n;
  else
    counts_.insert(at, {bucket, n});
}

double duration_counts::quantile(double share) const {
  uint64_t all = 0;
  for (const auto& [bucket, n] : counts_)
    all += n;
  auto rank = static_cast<uint64_t>(std::ceil(share * static_cast<double>(all)));
  uint64_t passed = 0;
  for (const auto& [bucket, n] : counts_)
    if ((passed += n) >= rank)
      return latency_of_bucket(bucket);
  return 0;
}

void group_counts::add(const count_sums& sums, int32_t status) {
  n += sums.n;
  if (status >= 500)
    server_errors += sums.n;
  else if (status >= 400)
    client_errors += sums.n;
  if (sums.timed == 0)
    return;
  min_us = timed > 0 ? std::min(min_us, sums.min_us) : sums.min_us;
  max_us = timed > 0 ? std::max(max_us, sums.max_us) : sums.max_us;
  timed += sums.timed;
  sum_us += sums.sum_us;
}

void group_counts::add(const group_counts& others) {
  add({.n = others.n,
       .timed = others.timed,
       .sum_us = others.sum_us,
       .min_us = others.min_us,
       .max_us = others.max_us},
      0);
  client_errors += others.client_errors;
  server_errors += others.server_errors;
}

double group_counts::average_us() const {
  return timed == 0 ? 0 : static_cast<double>(sum_us) / static_cast<double>(timed);
}

double group_counts::quantile_us(double share) const {
  return std::clamp(durations.quantile(share), static_cast<double>(min_us),
                    static_cast<double>(max_us));
}

} // namespace phi::statistics
