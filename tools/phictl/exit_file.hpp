#pragma once
/// last-exit.json: how the last run ended.

#include "tools/phictl/context.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace phi::ctl {

/// The report in a state directory. With `pid`, that of this process: waits a little for it to be
/// there. Throws `failure` when there is none or it cannot be read.
nlohmann::ordered_json read_exit_report(const std::string& state_directory, int pid = 0);

/// The state directory of the service: as it says itself, else /var/lib/phi-backend or ./data.
std::string find_state_directory(const context& with);

/// What to change so that the next stop goes better, from what the report says. One line each.
std::vector<std::string> explain_exit(const nlohmann::ordered_json& report);

} // namespace phi::ctl
