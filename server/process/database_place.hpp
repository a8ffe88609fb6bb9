#pragma once
/// The place of the embedded database, before it is opened.

#include "config/config.hpp"
#include "protocol/outcome.hpp"

namespace phi {

/// Finishes a restore that was interrupted, and refuses to begin an empty database where the events
/// of the last one lie under another name. Keeps the place for phictl. The state directory must be
/// locked. After a failure there can be no start.
outcome take_database_place(const config& settings);

} // namespace phi
