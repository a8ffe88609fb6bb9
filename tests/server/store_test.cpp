// The embedded database, for real: transactions, identities, roll-ups, migrations, questions.

#include "server/store/rollup.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite.hpp"
#include "server/store/sqlite_store.hpp"
#include "tests/server/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/stored.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>

using namespace phi;
using namespace phi::store;
using phi::testing::ask_database;
using phi::testing::batch_of;
using phi::testing::make_event;

namespace {

class database_dir {
public:
  database_dir() {
    char name[] = "/tmp/phi-store-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~database_dir() { std::filesystem::remove_all(path_); }
  sqlite_settings settings() const {
    return {.file = path_ + "/phi.db",
            .busy_timeout = std::chrono::milliseconds{200},
            .query_timeout = std::chrono::seconds{5}};
  }
  std::string file() const { return path_ + "/phi.db"; }

private:
  std::string path_;
};

} // namespace

TEST_CASE("a commit that cannot be made says why, and changes nothing; the next one works") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open() == "");
  {
    database other;
    other.open(dir.file(), database::access::read_write);
    other.run("BEGIN IMMEDIATE");
    auto refused = db->commit(*batch_of({{make_event(1)}}));
    CHECK(refused.error == error_code::store_unavailable);
    CHECK(refused.detail.find("locked") != std::string::npos);
    other.run("ROLLBACK");
  }
  CHECK(db->commit(*batch_of({{make_event(1)}})).requests.at(0).stored == 1);
}

TEST_CASE(
  "a new file gets the schema of today; another's file and a newer schema are refused untouched") {
  database_dir dir;
  { REQUIRE(make_sqlite_store(dir.settings())->open() == ""); }
  CHECK(ask_database(dir.file(), "PRAGMA user_version") == current_schema());
  {
    database db;
    db.open(dir.file(), database::access::read_write);
    db.run("PRAGMA user_version = 99");
  }
  CHECK(make_sqlite_store(dir.settings())->open().find("newer version") != std::string::npos);
  database_dir foreign;
  {
    database db;
    db.open(foreign.file(), database::access::read_write);
    db.run("CREATE TABLE theirs (x)");
  }
  CHECK(make_sqlite_store(foreign.settings())->open().find("not one of phi-backend")
        != std::string::npos);
  CHECK(ask_database(foreign.file(), "SELECT count(*) FROM sqlite_schema") == 1);
}

TEST_CASE("sqlite_wal decides about the journal, and can be changed for a database that is there") {
  database_dir dir;
  for (bool wal : {true, false, true}) {
    auto with = dir.settings();
    with.wal = wal;
    auto db = make_sqlite_store(with);
    REQUIRE(db->open() == "");
    CHECK(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
    CHECK(db->close() == "");
    CHECK(ask_database(dir.file(), "SELECT journal_mode = 'wal' FROM pragma_journal_mode") == wal);
  }
}

TEST_CASE("latency buckets are within 1 % of every value") {
  for (int64_t us = 1; us < 100'000'000'000; us += us / 7 + 1) {
    auto estimate = latency_of_bucket(latency_bucket(us));
    REQUIRE(std::abs(estimate - static_cast<double>(us)) <= 0.0101 * static_cast<double>(us) + 0.5);
  }
}

TEST_CASE("slots and days, also before 1970") {
  CHECK(slot_of(0) == 0);
  CHECK(slot_of(899'999'999) == 0);
  CHECK(slot_of(900'000'000) == 1);
  CHECK(slot_of(-1) == -1);
  CHECK(slot_of(-900'000'000) == -1);
  CHECK(slot_of(-900'000'001) == -2);
  CHECK(day_of_slot(95) == 0);
  CHECK(day_of_slot(96) == 1);
  CHECK(day_of_slot(-1) == -1);
  CHECK(slots_between(0, 96).low == ~uint64_t{0});
  CHECK(slots_between(0, 96).high == 0xffffffff);
  CHECK(slots_between(64, 65).high == 1);
}
