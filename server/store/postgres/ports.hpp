#pragma once
/// PostgreSQL: its connections, one for each actor that blocks on it.

#include "actors/ports/cluster_port.hpp"
#include "actors/ports/maintenance_port.hpp"
#include "actors/ports/reader_port.hpp"
#include "actors/ports/store_port.hpp"
#include "protocol/event.hpp"
#include "server/store/cube_list.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi::store {

struct postgres_settings {
  std::string url;
  std::string instance; ///< who writes
  phi::durability durability = phi::durability::full;
  bool may_be_away = false; ///< a start without the database is no failure: there is a spool
  std::chrono::seconds connect_timeout{};
  std::chrono::milliseconds commit_timeout{};
  std::chrono::milliseconds query_timeout{};
  int64_t keep_days = 0;              ///< rows of events; their counts stay
  std::optional<int64_t> start_at_us; ///< nothing before it is counted
  /// From this many events on rows go by COPY, fewer go as arrays. COPY costs a round trip (half a
  /// millisecond in one data centre) and saves about 2 us an event (tools/bench/postgres).
  size_t copy_from = 250;
  /// Each transaction is a line that a question reads: they do not wait for a minute.
  cube_limits cubes{.tail_age = std::chrono::seconds{10}};
};

postgres_settings postgres_settings_of(const config& settings);

store_port_ptr make_postgres_store(postgres_settings settings);
reader_port_ptr make_postgres_reader(postgres_settings settings);
maintenance_port_ptr make_postgres_maintenance(postgres_settings settings);
cluster_port_ptr make_postgres_cluster(postgres_settings settings);

/// For `--migrate`: what is to be done, or, with `execute`, what was done. Throws what is wrong.
std::vector<std::string> migrate_postgres(const postgres_settings& settings, bool execute);

} // namespace phi::store
