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
                       const std::string& derived) {
  auto a = ask(rows).at(0);
  auto b = ask(derived).at(0);
  return a == b ? "" : what + ": " + a + " in rows, " + b + " derived; ";
}

// Rows about the service's own requests are in no count.
#define USERS "event WHERE action IS DISTINCT FROM 'phi:request'"

namespace {

/// How the two databases are asked for cubes that count, and for rows that should be in them.
struct asked_so {
  const char* cubes;
  const char* counted_rows;
};

constexpr asked_so of_sqlite{
  "SELECT hex(body) FROM cube WHERE last_seq <= (SELECT last_seq FROM counted)",
  " AND seq <= (SELECT last_seq FROM counted)"};
constexpr asked_so of_postgres{
  "SELECT encode(body, 'hex') FROM cube",
  " AND NOT EXISTS (SELECT FROM uncounted AS u WHERE coalesce(u.tx, -1) = coalesce(event.tx, -1) "
  "AND seq"
  " BETWEEN first_seq AND u.last_seq AND time_us BETWEEN first_us AND last_us)"};

bool is_sqlite(const question& ask) {
  try {
    return !ask("SELECT sqlite_version()").empty();
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

cube_sums sums_of_cubes(const question& ask, const asked_so& how) {
  cube_sums out;
  for (const auto& hex : ask(how.cubes)) {
    auto cube = statistics::read_cube(bytes_of(hex));
    for (size_t i = 0; i < cube.combinations.size(); ++i) {
      if (cube.is_own(cube.combinations[i].feature))
        continue;
      const auto& sums = cube.day_sums[i];
      out.events += sums.n;
      out.errors += cube.combinations[i].status >= 400 ? sums.n : 0;
      out.statuses += cube.combinations[i].status != 0 ? sums.n : 0;
      out.microseconds += sums.sum_us;
    }
    for (const auto& row : cube.slot_buckets)
      out.latencies += cube.is_own(cube.timed_routes[row.timed_route].feature) ? 0 : row.n;
    out.users.insert(cube.persons.begin(), cube.persons.end());
  }
  return out;
}

} // namespace

std::string count_mismatch(const question& ask) {
  return count_mismatch(ask, is_sqlite(ask));
}

std::string count_mismatch(const question& ask, bool sqlite) {
  const auto& how = sqlite ? of_sqlite : of_postgres;
  auto cubes = sums_of_cubes(ask, how);
  std::string out;
  auto of_rows = [&](const std::string& number) {
    return ask("SELECT " + number + " FROM " USERS + how.counted_rows).at(0);
  };
  auto compare = [&](const char* what, const std::string& counted, const std::string& rows) {
    auto expected = of_rows(rows);
    if (expected != counted)
      out += std::string{what} + ": " + expected + " in rows, " + counted + " in cubes; ";
  };
  compare("events", std::to_string(cubes.events), "count(*)");
  compare("errors", std::to_string(cubes.errors), "count(CASE WHEN status >= 400 THEN 1 END)");
  compare("statuses", std::to_string(cubes.statuses), "count(status)");
  compare("latencies", std::to_string(cubes.latencies), "count(duration_us)");
  compare("users", std::to_string(cubes.users.size()), "count(DISTINCT user_hash)");
  // A sum of 64-bit numbers that cannot overflow.
  auto high = std::stoull(of_rows("coalesce(sum(duration_us >> 32), 0)"));
  auto low = std::stoull(of_rows("coalesce(sum(duration_us & 4294967295), 0)"));
  if (static_cast<unsigned __int128>(high) * (1ULL << 32) + low != cubes.microseconds)
    out += "microseconds; ";
  return out
         + difference(ask, "identities", "SELECT count(*) FROM event",
                      "SELECT count(DISTINCT identity) FROM event");
}

} // namespace phi::testing
