// The limit of the embedded database: the rows of the same events by one prepared INSERT, so many a
// transaction, flushed as ours are. No identities, no roll-ups, no HTTP.

#include <simdjson.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct row {
  std::string id, feature, action, route, method, user_hash, user_kind, instance;
  int64_t time_us = 0;
  int64_t status = 0;
  int64_t duration_us = 0;
};

std::string text(simdjson::dom::element of, const char* field) {
  std::string_view out;
  return of[field].get(out) ? std::string{} : std::string{out};
}

std::vector<row> rows_of(const char* file) {
  std::ifstream in{file};
  std::vector<row> out;
  simdjson::dom::parser parser;
  for (std::string line; std::getline(in, line);) {
    simdjson::dom::element doc = parser.parse(line);
    row one{text(doc, "id"),       text(doc, "feature"), text(doc, "action"),
            text(doc, "route"),    text(doc, "method"),  text(doc, "userHash"),
            text(doc, "userKind"), text(doc, "instance")};
    one.id.resize(16, 'x');
    double duration = 0;
    if (!doc["durationMs"].get(duration))
      one.duration_us = std::llround(duration * 1000);
    if (doc["status"].get(one.status))
      one.status = 0;
    one.time_us = 1'790'000'000'000'000 + static_cast<int64_t>(out.size());
    out.push_back(std::move(one));
  }
  return out;
}

void run(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    throw std::runtime_error(sqlite3_errmsg(db));
}

/// Rows a second.
double insert_all(const char* file, const std::vector<row>& rows, size_t batch) {
  sqlite3* db = nullptr;
  if (sqlite3_open(file, &db) != SQLITE_OK)
    throw std::runtime_error("cannot open the database");
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;"
          "PRAGMA cache_size=-16384; CREATE TABLE event(seq INTEGER PRIMARY KEY, time_us INTEGER"
          " NOT NULL, identity BLOB NOT NULL, feature TEXT, action TEXT, route TEXT, method TEXT,"
          " status INTEGER, duration_us INTEGER, user_hash TEXT, user_kind TEXT, address_hash TEXT,"
          " instance TEXT, extra TEXT) STRICT");
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db,
                     "INSERT INTO event(time_us, identity, feature, action, route, method, status,"
                     " duration_us, user_hash, user_kind, instance) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                     -1, &insert, nullptr);
  auto bind = [&](int at, const std::string& value) {
    sqlite3_bind_text(insert, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
  };
  auto began = std::chrono::steady_clock::now();
  for (size_t at = 0; at < rows.size(); at += batch) {
    run(db, "BEGIN IMMEDIATE");
    for (size_t i = at; i < std::min(rows.size(), at + batch); ++i) {
      const auto& one = rows[i];
      sqlite3_bind_int64(insert, 1, one.time_us);
      sqlite3_bind_blob(insert, 2, one.id.data(), 16, SQLITE_STATIC);
      bind(3, one.feature);
      bind(4, one.action);
      bind(5, one.route);
      bind(6, one.method);
      sqlite3_bind_int64(insert, 7, one.status);
      sqlite3_bind_int64(insert, 8, one.duration_us);
      bind(9, one.user_hash);
      bind(10, one.user_kind);
      bind(11, one.instance);
      if (sqlite3_step(insert) != SQLITE_DONE)
        throw std::runtime_error(sqlite3_errmsg(db));
      sqlite3_reset(insert);
    }
    run(db, "COMMIT");
  }
  auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return static_cast<double>(rows.size()) / took;
}

} // namespace

/// Prints rows a second.
int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: raw_insert DATABASE FILE.ndjson ROWS-A-TRANSACTION\n");
    return 2;
  }
  try {
    std::printf("%.0f\n",
                insert_all(argv[1], rows_of(argv[2]), std::strtoul(argv[3], nullptr, 10)));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
