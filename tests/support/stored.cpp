#include "tests/support/stored.hpp"

#include "server/statistics/cube_format.hpp"

#include <sqlite3.h>

#include <set>
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

// Rows about the service's own requests are in no count.
#define USERS "event WHERE action IS DISTINCT FROM 'phi:request'"

namespace {

/// Of the embedded database; PostgreSQL has roll-ups.
bool has_cubes(const question& ask) {
  try {
    return ask("SELECT count(*) FROM sqlite_schema WHERE name = 'cube'").at(0) == "1";
  } catch (const std::exception&) {
    return false;
  }
}

std::string bytes_of(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

/// All cubes that count, added up; a row that is behind the mark may be in none of them.
struct cube_sums {
  uint64_t events = 0, errors = 0, statuses = 0, latencies = 0;
  unsigned __int128 microseconds = 0;
  std::set<uint64_t> users;
};

cube_sums sums_of_cubes(const question& ask) {
  cube_sums out;
  auto bodies = ask("SELECT hex(body) FROM cube WHERE last_seq <= (SELECT last_seq FROM counted)");
  for (const auto& hex : bodies) {
    auto cube = statistics::read_cube(bytes_of(hex));
    for (size_t i = 0; i < cube.combinations.size(); ++i) {
      const auto& sums = cube.day_sums[i];
      out.events += sums.n;
      out.errors += cube.combinations[i].status >= 400 ? sums.n : 0;
      out.statuses += cube.combinations[i].status != 0 ? sums.n : 0;
      out.microseconds += sums.sum_us;
    }
    for (const auto& row : cube.slot_buckets)
      out.latencies += row.n;
    out.users.insert(cube.persons.begin(), cube.persons.end());
  }
  return out;
}

std::string cube_mismatch(const question& ask) {
  auto cubes = sums_of_cubes(ask);
  std::string out;
  auto of_rows = [&](const std::string& number) {
    return ask("SELECT " + number + " FROM " USERS " AND seq <= (SELECT last_seq FROM counted)")
      .at(0);
  };
  auto compare = [&](const char* what, const std::string& counted, const std::string& rows) {
    auto expected = of_rows(rows);
    if (expected != counted)
      out += std::string{what} + ": " + expected + " in rows, " + counted + " in cubes; ";
  };
  compare("events", std::to_string(cubes.events), "count(*)");
  compare("errors", std::to_string(cubes.errors), "coalesce(sum(status >= 400), 0)");
  compare("statuses", std::to_string(cubes.statuses), "count(status)");
  compare("latencies", std::to_string(cubes.latencies), "count(duration_us)");
  compare("users", std::to_string(cubes.users.size()), "count(DISTINCT substr(user_hash, 1, 16))");
  // A sum of 64-bit numbers that cannot overflow.
  auto high = std::stoull(of_rows("coalesce(sum(duration_us >> 32), 0)"));
  auto low = std::stoull(of_rows("coalesce(sum(duration_us & 4294967295), 0)"));
  if (static_cast<unsigned __int128>(high) * (1ULL << 32) + low != cubes.microseconds)
    out += "microseconds; ";
  return out
         + difference(ask, "identities", "SELECT count(*) FROM event",
                      "SELECT count(DISTINCT identity) FROM event");
}

} // namespace

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
  if (has_cubes(ask))
    return cube_mismatch(ask);
  std::string out;
  for (const auto& c : comparisons)
    out += difference(ask, c.what, c.rows, c.rollups);
  return out;
}

} // namespace phi::testing
