#pragma once
/// The spool: an SQLite file of batches that wait for PostgreSQL.

#include "actors/ports/spool_port.hpp"

#include <string>

namespace phi::store {

struct spool_settings {
  std::string file;
  uint64_t max_bytes = 0;      ///< of events; more are refused
  uint64_t min_free_bytes = 0; ///< that the disk keeps
};

spool_settings spool_settings_of(const config& settings);

spool_port_ptr make_sqlite_spool(spool_settings settings);

} // namespace phi::store
