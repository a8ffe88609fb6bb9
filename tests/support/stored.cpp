#include "tests/support/stored.hpp"

#include <sqlite3.h>

#include <stdexcept>

namespace phi::testing {

question in_file(const std::string& file) {
  return [file](const std::string& sql) {
    sqlite3* db = nullptr;
    sqlite3_stmt* ask = nullptr;
    if (sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK
        || sqlite3_prepare_v2(db, sql.c_str(), -1, &ask, nullptr) != SQLITE_OK)
      throw std::runtime_error("cannot ask " + file + ": " + sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 5000);
    std::vector<std::string> out;
    while (sqlite3_step(ask) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(ask, 0));
      out.emplace_back(text ? text : "");
    }
    sqlite3_finalize(ask);
    sqlite3_close(db);
    return out;
  };
}

int64_t ask_database(const std::string& file, const std::string& sql) {
  auto column = in_file(file)(sql);
  return column.empty() ? 0 : std::stoll(column.front());
}

std::map<std::string, int> stored_actions(const question& ask, const std::string& feature) {
  std::map<std::string, int> out;
  for (const auto& action : ask("SELECT action FROM event WHERE feature = '" + feature + "'"))
    ++out[action];
  return out;
}

std::string difference(const question& ask, const std::string& what, const std::string& rows,
                       const std::string& rollups) {
  auto a = ask(rows).at(0);
  auto b = ask(rollups).at(0);
  return a == b ? "" : what + ": " + a + " in rows, " + b + " in roll-ups; ";
}

// Rows about the service's own requests are in no roll-up.
#define USERS "event WHERE action IS DISTINCT FROM 'phi:request'"

std::string rollup_mismatch(const question& ask) {
  struct comparison {
    const char* what;
    const char* rows;
    const char* rollups;
  };
  static constexpr comparison comparisons[] = {
    {"events", "SELECT count(*) FROM " USERS, "SELECT coalesce(sum(n), 0) FROM rollup_count"},
    {"errors", "SELECT count(*) FROM " USERS " AND status >= 400",
     "SELECT coalesce(sum(errors), 0) FROM rollup_count"},
    {"statuses", "SELECT count(status) FROM " USERS,
     "SELECT coalesce(sum(n), 0) FROM rollup_status"},
    {"latencies", "SELECT count(duration_us) FROM " USERS,
     "SELECT coalesce(sum(n), 0) FROM rollup_latency"},
    {"microseconds", "SELECT coalesce(sum(duration_us), 0) FROM " USERS,
     "SELECT coalesce(sum(sum_us), 0) FROM rollup_count"},
    {"users", "SELECT count(DISTINCT user_hash) FROM " USERS,
     "SELECT count(DISTINCT user_hash) FROM rollup_user"},
    {"identities", "SELECT count(*) FROM event", "SELECT count(DISTINCT identity) FROM event"},
  };
  std::string out;
  for (const auto& c : comparisons)
    out += difference(ask, c.what, c.rows, c.rollups);
  return out;
}

} // namespace phi::testing
