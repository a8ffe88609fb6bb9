#pragma once
/// The counts of a database of an earlier schema, which were roll-ups. Days whose rows are all
/// there are counted anew, as rows that no cube holds. Of days whose rows are gone, or some of
/// them, the roll-ups become cubes, a day at a time; until the last of them nobody can be told a
/// number.

#include "server/store/cube_list.hpp"
#include "server/store/postgres/connection.hpp"

#include <cstdint>
#include <optional>

namespace phi::store {

/// In the transaction that makes the new tables: leaves the names that statements of that schema
/// use, and a line for all rows. Looks at none of them: everybody waits.
void prepare_rollups(postgres_connection& db);

bool rollups_are_to_be_taken_over(postgres_connection& db);

struct taken_day {
  std::optional<int64_t> next;     ///< the day to go on with; none: that was all
  std::optional<listed_cube> cube; ///< none: its rows are all there
};
/// With the lock of `counted`: the first day from `from_day` on; `number` is for its cube. Throws
/// postgres_error; damaged_day where a cube does not read back as it was.
taken_day take_over_day(postgres_connection& db, int64_t from_day, int64_t number);

/// When nothing of them is needed. Whether there were any.
bool drop_rollups_taken_over(postgres_connection& db);

} // namespace phi::store
