#pragma once
/// Writes rows of events, and adds sums to the roll-ups, in the transaction of the writer.

#include "server/statistics/rollup.hpp"
#include "server/store/sqlite/connection.hpp"

namespace phi::store {

/// Throws sqlite_error.
class row_writer {
public:
  explicit row_writer(sqlite_connection& db);

  /// `seq`: its number, larger than all before.
  void put(const event& e, int64_t seq);
  void add(const statistics::rollup& sums);

private:
  void add(const statistics::rollup_key& key, const statistics::rollup_sums& sums);

  statement event_, count_, status_, instance_, latency_, user_, address_;
};

} // namespace phi::store
