#include "server/store/sqlite/ports.hpp"

#include "protocol/fault_point.hpp"

namespace phi::store {

sqlite_settings sqlite_settings_of(const config& settings) {
  using std::chrono::milliseconds;
  return {.file = settings.resolved.sqlite_path,
          .instance = settings.resolved.instance,
          .wal = settings.stats.sqlite_wal,
          .durability = settings.resolved.durability,
          .busy_timeout = milliseconds{settings.stats.busy_timeout_ms},
          .query_timeout = milliseconds{settings.stats.query_timeout_ms},
          .start_at_us = settings.resolved.start_at_us,
          .keep_days = settings.stats.retention_hot_days,
          .cubes = {.tail_events = limit_in_drills("PHI_TAIL_EVENTS", cube_limits{}.tail_events)}};
}

} // namespace phi::store
