#pragma once
/// The service from start to stop: what it stands on, put together in order.

#include "config/config.hpp"
#include "protocol/lifecycle.hpp"
#include "server/observe/logging.hpp"
#include "server/process/last_resort.hpp"
#include "server/process/settings_source.hpp"

namespace phi {

/// Runs the service and returns its exit status. Called once, from main. `loaded` as `source` gave
/// it; a reload reads it again. When it returns, `resort` stands ready to end the process should
/// the rest of main hang.
exit_code run_service(const settings_source& source, const loaded_config& loaded, process_log& log,
                      last_resort& resort);

} // namespace phi
