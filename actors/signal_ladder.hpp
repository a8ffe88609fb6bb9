#pragma once
/// Decides what the next stop signal means: the first begins a stop, the second hurries it, the
/// third ends the process. Used by one thread.

#include "protocol/lifecycle.hpp"

namespace phi {

class signal_ladder {
public:
  /// A signal that asks for a stop in `mode` at the least (graceful, or fast for SIGQUIT).
  stop_mode press(stop_mode mode) {
    ++presses_;
    auto rung = presses_ >= 3   ? stop_mode::immediate
                : presses_ == 2 ? stop_mode::fast
                                : stop_mode::graceful;
    return rung > mode ? rung : mode;
  }

private:
  int presses_ = 0;
};

} // namespace phi
