#pragma once
/// Puts the house together: the one place that spawns actors, in order, and chooses which of them
/// get a thread of their own.

#include "config/config.hpp"
#include "protocol/lifecycle.hpp"
#include "server/logging.hpp"
#include "server/platform/signals.hpp"

namespace phi {

/// Runs the service from start to stop and returns its exit status. Called once, from main.
exit_code run_service(const config& settings, process_log& log);

/// What is wrong with settings that only the libraries of this room can check: time zone, proxies.
std::vector<std::string> check_environment(const config& settings);

} // namespace phi
