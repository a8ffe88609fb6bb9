#pragma once
/// How work that blocks an actor shows that it gets on, and hears that it should end.

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace phi {

/// Why a piece of work should end before it is done.
enum class end_cause : uint8_t {
  none,
  stopping,    ///< the service stops
  asker_gone,  ///< whoever asked for it no longer waits
  out_of_time, ///< it has had all the time that it may take
};

/// Given to a port by the actor that calls it. Whoever does something long, or waits for somebody,
/// looks here at least every `interval`; each look counts as progress, so that long work and honest
/// waiting are not mistaken for an actor that is stuck. Anything but `none`: the work is to be
/// given up within some 50 ms, with nothing changed.
class work_watch {
public:
  static constexpr auto interval = std::chrono::milliseconds{20};

  virtual ~work_watch() = default;
  /// Called in the thread that does the work; cheap enough for a progress handler.
  virtual end_cause check() noexcept = 0;
};

using work_watch_ptr = std::shared_ptr<work_watch>;

/// Shows another watch that work gets on which nothing ends.
class progress_only : public work_watch {
public:
  /// May be null.
  void over(work_watch_ptr watch) { watch_ = std::move(watch); }
  end_cause check() noexcept override {
    if (watch_)
      watch_->check();
    return end_cause::none;
  }

private:
  work_watch_ptr watch_;
};

} // namespace phi
