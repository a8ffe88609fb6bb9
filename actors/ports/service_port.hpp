#pragma once
/// What the supervisor needs of the process.

#include "actors/exit_report.hpp"

#include <memory>
#include <string>

namespace phi {

/// Called from the supervisor's thread only; never blocks for long.
class service_port {
public:
  virtual ~service_port() = default;

  /// The state has changed; `text` is for people ("draining: 12 requests in flight, ...").
  virtual void state_changed(service_state state, const std::string& text) = 0;

  /// A stop has begun: arms the last resort for `hard` (nothing: never), which from then on tells
  /// `draft` if it has to end the process.
  virtual void stop_begun(const exit_report& draft, std::optional<time_point> hard) = 0;

  /// The draft has changed.
  virtual void stop_moved(const exit_report& draft) = 0;

  /// All is over: write the report; the process leaves with its code.
  virtual void finished(const exit_report& report) = 0;

  /// Leave now: mode immediate was asked for.
  virtual void leave_now() = 0;

  /// The health quorum says that `actor` is stuck.
  virtual void stuck(const std::string& actor) = 0;
};

using service_port_ptr = std::shared_ptr<service_port>;

} // namespace phi
