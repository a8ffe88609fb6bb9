#pragma once
/// Waiting where there is nothing to wait on.

#include <chrono>
#include <thread>

namespace phi::ctl {

inline void pause_for(std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
}

} // namespace phi::ctl
