#pragma once
/// An instance's name among those that share a database. One running process has it: its
/// restart slot and its duties go by it.

#include "protocol/outcome.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/ports.hpp"

#include <cstdint>
#include <string>

namespace phi::store {

/// Tells this run of this process from all others.
struct run_of_process {
  int64_t number = 0; ///< random
  std::string host;
  int64_t pid = 0;
  std::string where; ///< boot, namespace of processes and start of the process: the pid's meaning

  static const run_of_process& own();

  /// Whether it certainly has ended: it ran here, and its process is no more.
  bool has_ended() const;
};

/// Takes the name for this run, or renews it. A lease that another run holds: waits up to
/// `patience` for its end, but not for one that is being renewed, and throws postgres_misfit. A
/// lock on the instances that somebody holds for longer than `lock` is an error, as of all waits.
void claim_name(postgres_connection& db, const postgres_settings& settings,
                std::chrono::milliseconds patience, std::chrono::milliseconds lock);

/// Now, by the database's clock: all instances agree on it. In microseconds since 1970.
int64_t database_now_us(postgres_connection& db);

/// Whether the clocks of the database, which says `theirs_us`, and of this machine, which says
/// `ours_us`, agree well enough: else the times of events would be wrong.
outcome compare_clocks(int64_t theirs_us, int64_t ours_us);

} // namespace phi::store
