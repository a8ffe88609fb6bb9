// The limit of the embedded database: the rows of the same events by one prepared INSERT, so many a
// transaction, flushed as ours are. No HTTP, no JSON, no identities, no roll-ups.

#include "tools/bench/event_options.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace {

using namespace phi::bench;

void run(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    throw std::runtime_error(sqlite3_errmsg(db));
}

class rows {
public:
  explicit rows(const std::string& file) {
    if (sqlite3_open(file.c_str(), &db_) != SQLITE_OK)
      throw std::runtime_error("cannot open the database");
    run(db_,
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;"
        "PRAGMA cache_size=-16384; CREATE TABLE event(seq INTEGER PRIMARY KEY, time_us INTEGER"
        " NOT NULL, identity BLOB NOT NULL, feature TEXT, action TEXT, route TEXT, method TEXT,"
        " status INTEGER, duration_us INTEGER, user_hash TEXT, user_kind TEXT, address_hash"
        " TEXT, instance TEXT, extra TEXT) STRICT");
    sqlite3_prepare_v2(
      db_,
      "INSERT INTO event(time_us, identity, feature, action, route, method, status,"
      " duration_us, user_hash, user_kind, instance) VALUES"
      " (?,?,?,?,?,?,?,?,?,?,?)",
      -1, &insert_, nullptr);
  }
  ~rows() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  rows(const rows&) = delete;

  void commit(const std::vector<bench_event>& batch, size_t size) {
    run(db_, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < size; ++i)
      put(batch[i]);
    run(db_, "COMMIT");
  }

private:
  void bind(int at, std::string_view value) {
    if (value.empty())
      sqlite3_bind_null(insert_, at);
    else
      sqlite3_bind_text(insert_, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
  }

  void put(const bench_event& event) {
    sqlite3_bind_int64(insert_, 1, event.time_us);
    sqlite3_bind_blob(insert_, 2, event.digest.data(), static_cast<int>(event.digest.size()),
                      SQLITE_STATIC);
    bind(3, event.feature);
    bind(4, event.action);
    bind(5, event.route);
    bind(6, event.method);
    sqlite3_bind_int64(insert_, 7, event.status);
    sqlite3_bind_int64(insert_, 8, event.duration_us);
    bind(9, event.user_hash);
    bind(10, event.user_kind);
    bind(11, event.instance);
    if (sqlite3_step(insert_) != SQLITE_DONE)
      throw std::runtime_error(sqlite3_errmsg(db_));
    sqlite3_reset(insert_);
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

/// Seconds that the transactions took, without the making of the events.
double insert_all(const std::string& file, const event_options& wanted, size_t batch) {
  const event_maker events{wanted.wishes};
  std::chrono::steady_clock::duration took{};
  std::vector<bench_event> some(batch);
  rows to{file};
  for (auto number = wanted.skip; number < wanted.end();) {
    auto size = std::min<uint64_t>(batch, wanted.end() - number);
    for (size_t i = 0; i < size; ++i)
      events.make(number++, some[i]);
    auto began = std::chrono::steady_clock::now();
    to.commit(some, size);
    took += std::chrono::steady_clock::now() - began;
  }
  return std::chrono::duration<double>(took).count();
}

} // namespace

/// Prints rows a second.
int main(int argc, char** argv) {
  event_options wanted;
  std::string file;
  size_t batch = 1000;
  CLI::App app{"Inserts the rows of events into a new SQLite database; prints rows a second."};
  app.add_option("file", file, "The database")->required();
  add_event_options(app, wanted);
  app.add_option("--batch", batch, "Rows a transaction")
    ->capture_default_str()
    ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    auto took = insert_all(file, wanted, batch);
    std::printf("%.0f\n", static_cast<double>(wanted.end() - wanted.skip) / took);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
