#pragma once
/// Makes a write-ahead log that is too large begin anew. While one reader follows upon another
/// there is no moment in which it could do so by itself.

#include "server/store/sqlite/connection.hpp"

#include <chrono>
#include <cstdint>

namespace phi::store {

class log_cutter {
public:
  /// A log is too large from `limit` bytes on.
  explicit log_cutter(uint64_t limit) : limit_(limit) {}

  /// Whether it is time to try it with a log of so many bytes.
  bool is_due(uint64_t bytes) const {
    return bytes >= limit_ && std::chrono::steady_clock::now() >= at_;
  }
  /// Readers that come meanwhile read the database alone, so that only those that are there already
  /// are waited for. One that stays is waited for in vain: the log grows until it ends. Outside of
  /// any transaction. `busy_timeout`: how long the connection waits for others in all else.
  void cut(sqlite_connection& db, uint64_t bytes, std::chrono::milliseconds busy_timeout);

private:
  uint64_t limit_;
  std::chrono::steady_clock::time_point at_{}; ///< not before
};

} // namespace phi::store
