#pragma once
/// Holds our deadlines against the time-outs of the unit: who would act first when something goes
/// wrong, we with a report or the service manager with a kill?

#include "config/config.hpp"
#include "server/systemd/unit_limits.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace phi::systemd {

/// One mismatch, with its remedy.
struct budget_finding {
  std::string mismatch;
  std::string remedy;

  std::string text() const { return mismatch + "; " + remedy; }
};

std::vector<budget_finding> examine_budgets(const config& settings, const unit_limits& limits);

/// Why admin.group cannot work in this unit; nothing: it can. The service would not start.
std::optional<budget_finding> examine_group(const config& settings, const unit_limits& limits);

/// The keys of an address that somebody has set (`origins` as in loaded_config) and that a socket
/// unit overrules.
std::optional<budget_finding> examine_address(const config& settings,
                                              const std::map<std::string, std::string>& origins,
                                              const std::string& socket_unit);

} // namespace phi::systemd
