#pragma once
/// The embedded database: the writing and the reading connection.

#include "actors/ports/reader_port.hpp"
#include "actors/ports/store_port.hpp"
#include "protocol/event.hpp"
#include "server/store/cube_list.hpp"
#include "server/store/damaged_days.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace phi::store {

/// What is known of identities in memory, and on disk. Smaller ones are for tests.
struct identity_limits {
  /// Identities that become a run together.
  size_t generation = 1 << 18;
  /// Runs of a level that become one.
  size_t fan_in = 8;
  /// So much is sorted at a time: well below a millisecond.
  size_t sorted_at_once = 4096;
  /// Filters that are held in memory; those of the largest runs are read when they are needed.
  size_t filter_bytes = 64 << 20;
  /// Bytes that the disk has left; null: enough.
  std::function<uint64_t()> room{};
};

struct sqlite_settings {
  std::string file;
  std::string instance; ///< of this service
  bool wal = true;
  phi::durability durability = phi::durability::full;
  std::chrono::milliseconds busy_timeout{};
  std::chrono::milliseconds query_timeout{};
  std::optional<int64_t> start_at_us; ///< nothing before it is counted
  int64_t keep_days = 36'500;         ///< older rows are deleted, their counts stay
  std::function<int64_t()> now_us{};  ///< since 1970; null: the clock
  uint64_t log_limit = 64 << 20;      ///< a larger write-ahead log is made to begin anew
  identity_limits identities{};
  cube_limits cubes{};
  /// Shared by the connections to one database.
  std::shared_ptr<damaged_days> damaged = std::make_shared<damaged_days>();
};

sqlite_settings sqlite_settings_of(const config& settings);

store_port_ptr make_sqlite_store(sqlite_settings settings);
reader_port_ptr make_sqlite_reader(sqlite_settings settings);

/// Removes the copies that an earlier process did not get to hand over.
void remove_left_copies(const std::string& directory);

} // namespace phi::store
