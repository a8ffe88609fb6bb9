#pragma once
/// Care for the database, a step at a time, by the one instance whose duty it is.

#include "actors/ports/maintenance_port.hpp"
#include "server/store/postgres/connection.hpp"

#include <cstdint>
#include <set>
#include <string>

namespace phi::store {

class maintenance_steps {
public:
  /// The next step that is due by the database's clock, with rows kept for `keep_days`: partitions
  /// ahead; one piece of what is too old; the counts of one day. What one of them cannot do now
  /// does not keep the others from it. Throws postgres_error when the session is lost.
  maintenance_port::done next(postgres_connection& db, int64_t keep_days);

  /// Days whose cubes somebody found damaged: with the next step they are looked at.
  void note_damaged(const std::set<int32_t>& days) { damaged_.insert(days.begin(), days.end()); }

  /// Whether rows that are too old stayed for want of being counted.
  bool waits_for_counts() const { return waits_for_counts_; }

private:
  std::string make_room_ahead(postgres_connection& db, int32_t today);
  std::string retire_old_days(postgres_connection& db, int32_t first_kept);
  std::string prune(postgres_connection& db, int32_t first_kept);
  std::string repair(postgres_connection& db, int32_t day);
  std::string keep_what_is_left(postgres_connection& db, int32_t day);
  std::string repair_one_day(postgres_connection& db, int32_t first, int32_t last);

  int32_t checked_day_ = 0; ///< the last day whose counts were held against the rows
  std::set<int32_t> fewer_; ///< days with fewer rows than were counted, as told
  std::set<int32_t> damaged_;
  bool waits_for_counts_ = false;
  std::string warning_; ///< of the present step
};

} // namespace phi::store
