#pragma once
/// What the supervisor needs of the process.

#include "actors/exit_report.hpp"
#include "protocol/config_ptr.hpp"

#include <memory>
#include <optional>
#include <string>

namespace phi {

/// The settings that a reload has read and checked.
struct prepared_reload {
  config_ptr next; ///< null: there is an error, nothing changes
  reload_report report;
};

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

  /// The supervisor itself has died: nobody is left to stop anything. Leave at once, with what is
  /// known.
  virtual void supervisor_died(const std::string& why, const exit_report& draft) = 0;

  /// Leave now: mode immediate was asked for.
  virtual void leave_now() = 0;

  /// A stop makes progress: the service manager is asked to wait for `more` from now, and the last
  /// resort moves to `hard`.
  virtual void stop_extended(duration more, std::optional<time_point> hard) = 0;

  /// How long the service manager waits for a stop before it kills; nothing: not known, or no
  /// manager.
  virtual std::optional<duration> manager_stop_limit() const = 0;

  /// Whether somebody looks at the texts of `state_changed` while the service runs.
  virtual bool shows_status() const = 0;

  /// Under these settings, how long the watchdog may be silent before it counts as stuck; 0: it is
  /// off.
  virtual duration watchdog_silence(const config& settings) const = 0;

  /// Reads the settings again and checks them. Changes nothing.
  virtual prepared_reload prepare_reload() = 0;

  /// From now on these settings hold for the process as a whole (its log, its readiness).
  virtual void apply_settings(const config_ptr& settings) = 0;

  /// The watchdog is stuck.
  virtual void stuck(const std::string& actor) = 0;
};

using service_port_ptr = std::shared_ptr<service_port>;

} // namespace phi
