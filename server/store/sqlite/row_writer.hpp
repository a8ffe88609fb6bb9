#pragma once
/// Writes rows of events, in the transaction of the writer.

#include "protocol/event.hpp"
#include "server/store/sqlite/connection.hpp"

namespace phi::store {

/// Throws sqlite_error.
class row_writer {
public:
  explicit row_writer(sqlite_connection& db);

  /// `seq`: its number, larger than all before.
  void put(const event& e, int64_t seq);

private:
  statement event_;
};

} // namespace phi::store
