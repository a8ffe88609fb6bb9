#pragma once
/// Holds our deadlines against the time-outs of the unit: who would act first when something goes
/// wrong, we with a report or the service manager with a kill?

#include "config/config.hpp"
#include "server/systemd/unit_limits.hpp"

#include <string>
#include <vector>

namespace phi::systemd {

/// One mismatch, with its mend.
struct budget_finding {
  std::string what;
  std::string mend;

  std::string text() const { return what + "; " + mend; }
};

std::vector<budget_finding> examine_budgets(const config& settings, const unit_limits& limits);

} // namespace phi::systemd
