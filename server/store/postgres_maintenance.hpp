#pragma once
/// Care for the database, a step at a time, by the one instance whose duty it is.

#include "server/store/postgres.hpp"

#include <cstdint>
#include <string>

namespace phi::store {

class postgres_maintenance {
public:
  /// The next step that is due at `now_us`, with rows kept for `keep_days`: partitions ahead, then
  /// what is too old, then the roll-ups of one day. Returns what it did, or an empty text. Throws
  /// postgres_error.
  std::string step(postgres& db, int64_t now_us, int64_t keep_days);

private:
  std::string make_room_ahead(postgres& db, int32_t today);
  std::string retire_old_days(postgres& db, int32_t first_kept);
  std::string prune(postgres& db, int32_t first_kept);
  std::string repair_one_day(postgres& db, int32_t today);

  int32_t checked_day_ = 0; ///< the last day whose roll-ups were held against the rows
};

/// Makes the roll-ups of a day again out of its rows. Writers wait meanwhile.
void rebuild_rollups(postgres& db, int32_t day);

} // namespace phi::store
