#include "actors/health_board.hpp"

#include "protocol/text/duration.hpp"

namespace phi {

void health_board::write(health_view view, time_point at) {
  std::lock_guard lock{mutex_};
  last_ = std::move(view);
  written_ = at;
}

void health_board::rest() {
  std::lock_guard lock{mutex_};
  last_ = {};
  written_.reset();
}

health_view health_board::read(time_point now) const {
  std::lock_guard lock{mutex_};
  auto out = last_;
  if (written_ && now - *written_ >= stale_) {
    auto why = "has not looked for " + show_duration(now - *written_);
    out.causes.push_back({actor_name::watchdog, cause_kind::silent, why, why});
  }
  return out;
}

} // namespace phi
