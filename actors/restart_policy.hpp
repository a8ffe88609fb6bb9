#pragma once
/// Decides whether a died child is started again, and after how long. One for the whole service:
/// the limit counts the restarts of all children together.

#include "protocol/time.hpp"

#include <algorithm>
#include <deque>
#include <optional>

namespace phi {

class restart_policy {
public:
  struct settings {
    size_t limit = 0; ///< restarts within the window; one more is refused
    duration window{};
    duration first_wait{};
    duration longest_wait{};
  };

  restart_policy() = default; ///< restarts nothing
  explicit restart_policy(settings chosen) : settings_(chosen) {}

  /// From now on these hold; the restarts that there were count on.
  void apply_settings(settings chosen) { settings_ = chosen; }

  /// A child died at `now`. The wait before its restart, or nothing: give up.
  std::optional<duration> on_death(time_point now) {
    while (!recent_.empty() && now - recent_.front() > settings_.window)
      recent_.pop_front();
    if (recent_.size() >= settings_.limit)
      return std::nullopt;
    auto doublings = std::min<size_t>(recent_.size(), 16);
    recent_.push_back(now);
    return std::min(settings_.longest_wait, settings_.first_wait * (1 << doublings));
  }

private:
  settings settings_;
  std::deque<time_point> recent_;
};

} // namespace phi
