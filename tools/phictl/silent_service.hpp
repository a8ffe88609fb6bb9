#pragma once
/// What can be found of a service that does not answer. Of one that does, the service's own doctor
/// makes the findings (server/admin/doctor.hpp).

#include "tools/phictl/context.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace phi::ctl {

/// Findings in the form of the doctor's: that nobody answers, for which `why` is given, how the
/// unit is where there is one, and how the last run ended where that can be read. Throws nothing
/// for what it cannot find.
nlohmann::ordered_json examine_silent_service(const command_context& context,
                                              const std::string& why);

} // namespace phi::ctl
