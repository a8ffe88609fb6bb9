#pragma once
/// Whether the spool may grow.

#include "protocol/outcome.hpp"
#include "server/store/spool/spool_file.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace phi::store {

/// Whether a spool that holds `held` bytes of events may take so many `more`; else what is in the
/// way. `make_room` is called only where the disk is short: it writes the log back, which gives its
/// room to others, and gives the bytes of the file that nothing is kept in any more: these take
/// events without the disk.
outcome check_room(const spool_settings& settings, uint64_t held, uint64_t more,
                   const std::function<uint64_t()>& make_room);

} // namespace phi::store
