#include "actors/stop_window.hpp"

#include <algorithm>

namespace phi {

stop_window::stop_window(time_point t0, std::optional<time_point> hard,
                         std::optional<duration> manager_limit, duration margin)
  : hard_(hard),
    step_(manager_limit.value_or(duration::zero())),
    margin_(std::min(margin, step_ / 4)) {
  if (manager_limit)
    killed_at_ = t0 + *manager_limit;
}

std::optional<time_point> stop_window::force_at() const {
  if (!hard_ || !killed_at_)
    return hard_;
  return std::min(*hard_, *killed_at_ - margin_);
}

std::optional<duration> stop_window::progressed(time_point now) {
  if (!killed_at_) // nothing is known to be put off, and only our own deadlines count
    return std::nullopt;
  auto until = now + step_;
  if (hard_)
    until = std::min(until, *hard_ + margin_);
  // The manager's limit never moves back; small steps would only be noise.
  if (until < *killed_at_ + step_ / 8)
    return std::nullopt;
  killed_at_ = until;
  return until - now;
}

} // namespace phi
