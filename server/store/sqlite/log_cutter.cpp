#include "server/store/sqlite/log_cutter.hpp"

#include "actors/log.hpp"

#include <algorithm>

namespace phi::store {
namespace {

/// So long readers are waited for, longer the larger the log is, and a tenth of the time at most.
constexpr auto patience = std::chrono::milliseconds{100};
constexpr uint64_t most_patience = 5;
constexpr int share = 10;

} // namespace

void log_cutter::cut(sqlite_connection& db, uint64_t bytes,
                     std::chrono::milliseconds busy_timeout) {
  std::chrono::milliseconds wait = patience * std::min(bytes / limit_, most_patience);
  db.set_busy_timeout(std::min(busy_timeout, wait));
  try {
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const sqlite_error& e) {
    log_debug("store", "cannot cut its log", {{"cause", e.what()}});
  }
  db.set_busy_timeout(busy_timeout);
  at_ = std::chrono::steady_clock::now() + wait * share;
}

} // namespace phi::store
