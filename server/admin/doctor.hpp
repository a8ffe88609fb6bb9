#pragma once
/// The doctor: holds what is seen of the service and its machine against what it needs. The one
/// place that makes findings of a service that runs; phictl adds what is found where none answers.

#include "actors/ports/console_port.hpp"
#include "protocol/config_ptr.hpp"
#include "server/process/settings_source.hpp"
#include "server/systemd/unit_limits.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// What was seen of the service. The machine is looked at by the doctor itself.
struct observed_service {
  config_ptr settings; ///< in effect; not null
  std::map<std::string, std::string> origins;
  considered_settings next; ///< what the file and the environment say now: a start takes it
  std::optional<systemd::unit_limits> unit; ///< nothing: no service manager has time-outs for us
  health_view health;
  std::optional<service_status> status; ///< nothing: the supervisor did not answer
};

/// One finding for each thing that is examined, or several where several are wrong with it. Reads
/// the state directory and binds to the next address for a moment; changes nothing but the limit
/// of open files, which it raises as a start does. Any thread; never throws for what is wrong.
std::vector<finding> examine_service(const observed_service& seen);

} // namespace phi
