#include "server/statistics/latency.hpp"

#include <cmath>

namespace phi::statistics {
namespace {

// Buckets grow by gamma = (1 + e) / (1 - e), so that the middle of each is within e = 1 % of all
// its values (DDSketch: Masson, Rim, Lee, VLDB 2019).
const double log_gamma = std::log((1 + relative_error) / (1 - relative_error));

} // namespace

int32_t latency_bucket(int64_t duration_us) {
  if (duration_us <= 1)
    return 0;
  return static_cast<int32_t>(std::ceil(std::log(static_cast<double>(duration_us)) / log_gamma));
}

double latency_of_bucket(int32_t bucket) {
  if (bucket <= 0)
    return 1;
  double gamma = std::exp(log_gamma);
  return 2 * std::exp(bucket * log_gamma) / (gamma + 1);
}

} // namespace phi::statistics
