#include "tests/support/stored.hpp"

#include <sqlite3.h>

#include <functional>
#include <stdexcept>

namespace phi::testing {
namespace {

void each_row(const std::string& file, const std::string& sql,
              const std::function<void(sqlite3_stmt*)>& visit) {
  sqlite3* db = nullptr;
  sqlite3_stmt* ask = nullptr;
  if (sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK
      || sqlite3_prepare_v2(db, sql.c_str(), -1, &ask, nullptr) != SQLITE_OK)
    throw std::runtime_error(std::string{"cannot ask "} + file + ": " + sqlite3_errmsg(db));
  sqlite3_busy_timeout(db, 5000);
  while (sqlite3_step(ask) == SQLITE_ROW)
    visit(ask);
  sqlite3_finalize(ask);
  sqlite3_close(db);
}

} // namespace

int64_t ask_database(const std::string& file, const std::string& sql) {
  int64_t out = 0;
  each_row(file, sql, [&](sqlite3_stmt* row) { out = sqlite3_column_int64(row, 0); });
  return out;
}

std::map<std::string, int> stored_actions(const std::string& file, const std::string& feature) {
  std::map<std::string, int> out;
  each_row(
    file, "SELECT action FROM event WHERE feature = '" + feature + "'",
    [&](sqlite3_stmt* row) { ++out[reinterpret_cast<const char*>(sqlite3_column_text(row, 0))]; });
  return out;
}

std::string rollup_mismatch(const std::string& file) {
  auto rows = ask_database(file, "SELECT count(*) FROM event");
  auto same = [&](const char* what, const std::string& raw,
                  const std::string& rolled) -> std::string {
    auto a = ask_database(file, raw);
    auto b = ask_database(file, rolled);
    return a == b ? ""
                  : std::string{what} + ": " + std::to_string(a) + " in rows, " + std::to_string(b)
                      + " in roll-ups; ";
  };
  std::string out =
    same("events", "SELECT count(*) FROM event", "SELECT coalesce(sum(n), 0) FROM rollup_count");
  out += same("errors", "SELECT count(*) FROM event WHERE status >= 400",
              "SELECT coalesce(sum(errors), 0) FROM rollup_count");
  out += same("statuses", "SELECT count(status) FROM event",
              "SELECT coalesce(sum(n), 0) FROM rollup_status");
  out += same("latencies", "SELECT count(duration_us) FROM event",
              "SELECT coalesce(sum(n), 0) FROM rollup_latency");
  out += same("microseconds", "SELECT coalesce(sum(duration_us), 0) FROM event",
              "SELECT coalesce(sum(sum_us), 0) FROM rollup_count");
  out += same("users", "SELECT count(DISTINCT user_hash) FROM event",
              "SELECT count(DISTINCT user_hash) FROM rollup_user");
  out += same("identities", "SELECT count(*) FROM identity", "SELECT " + std::to_string(rows));
  return out;
}

} // namespace phi::testing
