#pragma once
/// The clock of all deadlines and durations between actors.

#include <chrono>

namespace phi {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using duration = clock::duration;

} // namespace phi
