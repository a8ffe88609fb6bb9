#include "actors/activity.hpp"

#include "actors/exit_report.hpp"

#include <unistd.h>

namespace phi {

void activity::handler_began(caf::atom_value message) noexcept {
  thread_local const int this_thread = ::gettid();
  thread_.store(this_thread, std::memory_order_relaxed);
  since_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  handling_.store(static_cast<uint64_t>(message), std::memory_order_release);
}

std::string activity::show() const {
  const char* what = what_.load(std::memory_order_acquire);
  auto message = handling_.load(std::memory_order_acquire);
  if (!what && !message)
    return "idle";
  auto began = time_point{duration{since_.load(std::memory_order_relaxed)}};
  auto text = what ? std::string{what} : "handling " + to_string(caf::atom_value{message});
  return text + " for " + show_duration(clock::now() - began);
}

} // namespace phi
