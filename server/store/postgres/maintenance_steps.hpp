#pragma once
/// Care for the database, a step at a time, by the one instance whose duty it is.

#include "actors/ports/maintenance_port.hpp"
#include "server/store/postgres/connection.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace phi::store {

class maintenance_steps {
public:
  /// The next step that is due by the database's clock, with rows kept for `keep_days`: partitions
  /// ahead; one piece of what is too old; the counts of some days. What one of them cannot do now
  /// does not keep the others from it. Throws postgres_error when the session is lost.
  maintenance_port::done next(postgres_connection& db, int64_t keep_days);

  /// Days whose cubes somebody found damaged: with the next step they are looked at.
  void note_damaged(const std::set<int32_t>& days) { damaged_.insert(days.begin(), days.end()); }

  /// Whether rows that are too old stayed for want of being counted.
  bool waits_for_counts() const { return waits_for_counts_; }

private:
  std::string make_room_ahead(postgres_connection& db, int32_t today);
  std::string retire(postgres_connection& db, int32_t day);
  std::string prune(postgres_connection& db);
  std::string prune_other_rows(postgres_connection& db);
  std::string drop_rollups(postgres_connection& db);
  std::string repair_some_days(postgres_connection& db, int32_t today);
  std::string repair(postgres_connection& db, int32_t day);
  void warn(const std::string& text);

  std::optional<int32_t> first_kept_;  ///< the first day whose rows stay; unknown: all do
  std::optional<int32_t> checked_day_; ///< the last day whose counts were held against the rows
  std::optional<int32_t> pruned_day_;  ///< rows of it went, without a partition
  std::set<int32_t> fewer_;            ///< days with fewer rows than were counted, as told
  std::set<int32_t> damaged_;          ///< days that are still to be looked at
  bool waits_for_counts_ = false;
  std::string warning_; ///< of the present step
};

} // namespace phi::store
