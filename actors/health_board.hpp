#pragma once
/// Where the watchdog writes how the service is, and everybody reads it.

#include "protocol/health.hpp"
#include "protocol/time.hpp"

#include <mutex>
#include <optional>

namespace phi {

/// Thread-safe; never blocks for long.
class health_board {
public:
  /// `stale`: what was written this long ago says nothing any more.
  explicit health_board(duration stale) : stale_(stale) {}

  void write(health_view view, time_point at);

  /// A stop has begun: nobody writes any more, and that is no fault.
  void rest();

  /// As last written. Somebody must look: when nobody does, that is a cause of its own.
  health_view read(time_point now) const;

private:
  duration stale_;
  mutable std::mutex mutex_;
  health_view last_;
  std::optional<time_point> written_; ///< nothing: not yet, or no more
};

} // namespace phi
