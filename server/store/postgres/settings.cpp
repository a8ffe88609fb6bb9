#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/counting.hpp"
#include "server/store/postgres/earlier_counts.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/postgres/schema.hpp"

namespace phi::store {

postgres_settings postgres_settings_of(const config& settings) {
  using std::chrono::milliseconds;
  return {.url = settings.stats.postgres_url.value,
          .instance = settings.resolved.instance,
          .durability = settings.resolved.durability,
          .may_be_away = settings.spool.enabled,
          .connect_timeout = std::chrono::seconds{settings.stats.postgres_connect_timeout_secs},
          .commit_timeout = milliseconds{settings.stats.busy_timeout_ms},
          .query_timeout = milliseconds{settings.stats.query_timeout_ms},
          .keep_days = settings.stats.retention_hot_days,
          .start_at_us = settings.resolved.start_at_us,
          .cubes = {.tail_events = limit_in_drills("PHI_TAIL_EVENTS", cube_limits{}.tail_events),
                    .tail_age = postgres_settings{}.cubes.tail_age}};
}

namespace {

/// An instance that counts may do the same: then one waits for the other.
void take_over_rollups(postgres_connection& db, const cube_limits& limits) {
  for (counting taking{limits}; rollups_are_to_be_taken_over(db);)
    try {
      taking.slice(db);
    } catch (const postgres_error& e) {
      if (e.state() != lock_not_available)
        throw;
      db.pause(defaults::migration_pause);
    }
}

} // namespace

std::vector<std::string> migrate_postgres(const postgres_settings& settings, bool execute) {
  postgres_connection db;
  db.set_limit(std::chrono::minutes{10});
  db.connect({.url = settings.url,
              .connect_timeout = settings.connect_timeout,
              .for_writing = true,
              .name = "phi-backend --migrate"});
  auto plan = migration_plan(db);
  if (execute) {
    migrate(db);
    take_over_rollups(db, settings.cubes);
  }
  return plan;
}

} // namespace phi::store
