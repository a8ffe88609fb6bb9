#pragma once
/// last-exit.json: how the last run ended.

#include "tools/phictl/context.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace phi::ctl {

/// Which run of the service. The number of the process alone does not say it: in a container it is
/// always the same.
struct run_key {
  int pid = 0;
  std::string id; ///< "runId" of its status; empty: of a version that had none
};

/// How the last run ended, from the reports in a state directory: what it wrote, or, when it wrote
/// nothing and is gone, that ("crashed": true). With `run`, that of this run only: waits a little
/// for it to be there. Throws `failure` when there is none or it cannot be read.
nlohmann::ordered_json read_exit_report(const std::string& state_directory,
                                        const std::optional<run_key>& run = {});

/// The state directory of the service that answers, as it says itself; nothing: none does.
std::optional<std::string> running_state_directory(const command_context& context);

/// The state directory of a service that does not run: beside the socket that --socket names, else
/// $APP_SERVER_STATE_DIR, else /var/lib/phi-backend or ./data where one has run. Throws `failure`
/// when there is none: never that of another service than the one that was named.
std::string silent_state_directory(const command_context& context);

/// The one of these that there is.
std::string find_state_directory(const command_context& context);

/// What to change so that the next stop goes better, from what the report says. One line each.
std::vector<std::string> explain_exit(const nlohmann::ordered_json& report);

} // namespace phi::ctl
