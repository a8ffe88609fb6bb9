#pragma once
/// States and reports as JSON, the same on the admin socket, in GET /health and in last-exit.json.

#include "actors/exit_report.hpp"
#include "protocol/status.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace phi {

nlohmann::ordered_json to_json(const ledger_counts& counts);
nlohmann::ordered_json to_json(const actor_status& status);
nlohmann::ordered_json to_json(const service_status& status);
nlohmann::ordered_json to_json(const stop_forecast& forecast);

/// The report of a stop, without the facts of the process (pid, version, times of day).
nlohmann::ordered_json to_json(const exit_report& report);

/// The body of GET /health: `status` is "ok", or "degraded" with `causes`.
std::string health_json(const actor_status& stats, const std::vector<std::string>& causes);

double milliseconds(duration d);

} // namespace phi
