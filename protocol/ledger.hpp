#pragma once
/// The ledger: where every event that came in is now.

#include <cstdint>

namespace phi {

/// Counts of events since the process started. At all times
/// `received == stored + duplicates + rejected + spooled + set_aside + in_queue`.
struct ledger_counts {
  uint64_t received = 0;   ///< events read out of requests, valid or not, and the service's own
  uint64_t stored = 0;     ///< committed, each counted once
  uint64_t duplicates = 0; ///< known already by their identity
  uint64_t rejected = 0;  ///< refused, and their sender was told so; of the service's own: given up
  uint64_t spooled = 0;   ///< on local disk, on their way to the database
  uint64_t set_aside = 0; ///< on local disk, and the database will not have them as they are
  uint64_t in_queue = 0;  ///< in memory: waiting, or in the commit under way

  uint64_t accounted() const {
    return stored + duplicates + rejected + spooled + set_aside + in_queue;
  }
  bool balanced() const { return received == accounted(); }

  /// What must hold at the end of a stop: nothing is left in memory.
  bool settled() const { return balanced() && in_queue == 0; }
};

} // namespace phi
