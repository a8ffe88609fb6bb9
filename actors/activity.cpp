#include "actors/activity.hpp"

#include "actors/exit_report.hpp"

namespace phi {

std::string activity::show() const {
  const char* what = now_doing();
  if (!what)
    return "idle";
  auto began = time_point{duration{since_.load(std::memory_order_relaxed)}};
  return std::string{what} + " for " + show_duration(clock::now() - began);
}

} // namespace phi
