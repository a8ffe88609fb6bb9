#pragma once
/// Durations in buckets that grow by a fixed ratio, so that a quantile is right within 1 %.

#include <cstdint>

namespace phi::statistics {

/// Of a latency that is read out of its bucket.
inline constexpr double relative_error = 0.01;

/// Every bucket is below: that of the longest duration there can be is 2184.
inline constexpr int32_t latency_buckets = 2185;

/// Bucket of a duration in microseconds; 0 is for those of at most one.
int32_t latency_bucket(int64_t duration_us);

/// The value that stands for a bucket, in microseconds.
double latency_of_bucket(int32_t bucket);

} // namespace phi::statistics
