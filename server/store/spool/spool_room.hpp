#pragma once
/// Whether the spool may grow.

#include "protocol/outcome.hpp"
#include "server/store/spool/spool_file.hpp"

#include <cstdint>
#include <string>

namespace phi::store {

/// Whether a spool that holds `held` bytes of events may take so many `more`; else what is in the
/// way.
outcome check_room(const spool_settings& with, uint64_t held, uint64_t more);

} // namespace phi::store
