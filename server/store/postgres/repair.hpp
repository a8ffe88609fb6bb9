#pragma once
/// Holds the cubes of a day against its rows, and puts right what can be put right.

#include "server/store/postgres/connection.hpp"

#include <cstddef>
#include <cstdint>

namespace phi::store {

/// What was found of a day's counts, and what was done.
struct checked_day {
  enum class verdict : uint8_t {
    same,
    rows_are_fewer, ///< rows may have been deleted: nothing was done
    made_again,     ///< of the rows, in place of all its cubes
    kept_sound      ///< what is damaged was taken away; the other cubes count
  };
  verdict found = verdict::same;
  size_t damaged = 0; ///< cubes
  int64_t lost = 0;   ///< events that were counted and are so no longer
};

/// Within a transaction that waits for locks no longer than it may. Makes the cubes of a day (since
/// 1970, UTC) again of its rows where these are more. In place of damaged cubes that counts from
/// now on which has more events: the rows that are left, or the sound cubes. Nobody else counts
/// until the end of the transaction; events are written. Throws postgres_error.
checked_day check_and_repair(postgres_connection& db, int32_t day);

} // namespace phi::store
