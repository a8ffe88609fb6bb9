#pragma once
/// Durations for people, in the log, in reports and in the status line.

#include "protocol/time.hpp"

#include <cstdio>
#include <string>

namespace phi {

/// "1.2 ms", "12 ms", "1.9 s".
inline std::string show_duration(duration d) {
  char text[32];
  auto ms = std::chrono::duration<double, std::milli>(d).count();
  if (ms < 1000)
    std::snprintf(text, sizeof text, ms < 10 ? "%.1f ms" : "%.0f ms", ms);
  else
    std::snprintf(text, sizeof text, "%.1f s", ms / 1000);
  return text;
}

} // namespace phi
