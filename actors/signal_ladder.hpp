#pragma once
/// Decides what the next stop signal means: the first begins a stop, the second makes it fast, the
/// third ends the process. Used by one thread.

#include "config/defaults.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <optional>

namespace phi {

class signal_ladder {
public:
  /// A signal at `now` that asks for a stop in `mode` at the least (graceful, or fast for SIGQUIT).
  /// Nothing: it is the same wish as the last one, told twice (`timeout`, a terminal's process
  /// group and npm do so within milliseconds), whichever of the signals it is.
  std::optional<stop_mode> press(stop_mode mode, time_point now) {
    bool again = presses_ > 0 && now - pressed_at_ < defaults::same_wish;
    if (!again) {
      ++presses_;
      pressed_at_ = now;
    }
    auto rung = presses_ >= 3   ? stop_mode::immediate
                : presses_ == 2 ? stop_mode::fast
                                : stop_mode::graceful;
    auto wish = std::max(rung, mode);
    if (again && wish <= wished_)
      return std::nullopt;
    wished_ = std::max(wished_, wish);
    return wish;
  }

  /// Wishes so far.
  int presses() const { return presses_; }

private:
  int presses_ = 0;
  time_point pressed_at_{};
  stop_mode wished_ = stop_mode::lame_duck;
};

} // namespace phi
