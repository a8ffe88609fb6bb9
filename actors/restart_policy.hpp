#pragma once
/// Decides whether a died child is started again, and after how long. One for the whole service:
/// the limit counts the restarts of all children together.

#include "protocol/caf_dialect.hpp"

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

  explicit restart_policy(settings with) : with_(with) {}

  /// A child died at `now`. The wait before its restart, or nothing: give up.
  std::optional<duration> on_death(time_point now) {
    while (!recent_.empty() && now - recent_.front() > with_.window)
      recent_.pop_front();
    if (recent_.size() >= with_.limit)
      return std::nullopt;
    auto doublings = std::min<size_t>(recent_.size(), 16);
    recent_.push_back(now);
    return std::min(with_.longest_wait, with_.first_wait * (1 << doublings));
  }

private:
  settings with_;
  std::deque<time_point> recent_;
};

} // namespace phi
