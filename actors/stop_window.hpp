#pragma once
/// Decides until when a stop may go on where a service manager has a limit of its own: as long as
/// it makes progress the manager is asked to wait, and without progress we end before it kills.
/// Where no such limit is known it changes nothing. No actors, no clock.

#include "protocol/time.hpp"

#include <optional>

namespace phi {

class stop_window {
public:
  /// A stop that begins at `t0`. `hard`: our own forced exit; nothing: never. `manager_limit`:
  /// after that the manager kills; nothing: not known. `margin`: we end this long before it.
  stop_window(time_point t0, std::optional<time_point> hard, std::optional<duration> manager_limit,
              duration margin);

  /// When the last resort ends the process; nothing: never.
  std::optional<time_point> force_at() const;

  /// The stop has made progress. How long from now the manager is to be asked to wait; nothing: it
  /// waits long enough, or has no limit that is known.
  std::optional<duration> progressed(time_point now);

private:
  std::optional<time_point> hard_;
  duration step_;
  duration margin_;
  std::optional<time_point> killed_at_; ///< by the manager
};

} // namespace phi
