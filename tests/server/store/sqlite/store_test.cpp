// The embedded database, for real: transactions, identities, migrations, questions.

#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/ports.hpp"
#include "server/store/sqlite/schema.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cstdlib>
#include <filesystem>

using namespace phi;
using namespace phi::statistics;
using namespace phi::store;
using phi::testing::ask_database;
using phi::testing::batch_of;
using phi::testing::make_event;

namespace {

class database_dir : public phi::testing::temp_dir {
public:
  sqlite_settings settings() const {
    return {.file = file(),
            .busy_timeout = std::chrono::milliseconds{200},
            .query_timeout = std::chrono::seconds{5}};
  }
  std::string file() const { return path("phi.db"); }
};

int64_t total_of(const sqlite_settings& settings) {
  auto reader = make_sqlite_reader(settings);
  REQUIRE(reader->open().why() == "");
  auto answer = phi::testing::ask(reader, phi::testing::summary());
  INFO(answer.detail);
  REQUIRE(answer.error == error_code::none);
  return nlohmann::json::parse(answer.body)["eventsTotal"].get<int64_t>();
}

} // namespace

TEST_CASE("a commit that cannot be made says why, and changes nothing; the next one works") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open().why() == "");
  {
    sqlite_connection other;
    other.open(dir.file(), sqlite_connection::access::read_write);
    other.run("BEGIN IMMEDIATE");
    auto refused = db->commit(*batch_of({{make_event(1)}}));
    CHECK(refused.error == error_code::store_unavailable);
    CHECK(refused.detail.find("locked") != std::string::npos);
    other.run("ROLLBACK");
  }
  CHECK(db->commit(*batch_of({{make_event(1)}})).requests.at(0).stored == 1);
}

TEST_CASE("events that the database refuses are found, the others of the batch are stored") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open().why() == "");
  auto poison = [](uint32_t number) {
    auto e = make_event(number);
    e.action = "poison";
    return e;
  };
  {
    sqlite_connection other;
    other.open(dir.file(), sqlite_connection::access::read_write);
    other.run("CREATE TRIGGER refuse BEFORE INSERT ON event WHEN NEW.action = 'poison'"
              " BEGIN SELECT RAISE(ABORT, 'no poison here'); END");
  }
  std::vector<event> many;
  for (uint32_t i = 0; i < 3000; ++i)
    many.push_back(i == 1234 || i == 2999 ? poison(i) : make_event(i));
  auto batch = batch_of({{make_event(9000), make_event(9000), poison(9001)},
                         many,
                         {poison(9100), make_event(9101)},
                         {make_event(9200), make_event(9201)},
                         {poison(9300)}});
  batch->requests[2].atomic = true;
  batch->requests[3].atomic = true;
  auto result = db->commit(*batch);
  REQUIRE(result.error == error_code::none);
  auto counts = [&](size_t request) {
    const auto& of = result.requests.at(request);
    return std::array{of.stored, of.duplicates, of.refused};
  };
  CHECK(counts(0) == std::array{1U, 1U, 1U});
  CHECK(counts(1) == std::array{2998U, 0U, 2U});
  CHECK(counts(2) == std::array{0U, 0U, 2U});
  CHECK(counts(3) == std::array{2U, 0U, 0U});
  CHECK(counts(4) == std::array{0U, 0U, 1U});
  REQUIRE(result.refused.size() == 6);
  CHECK(result.refused[0].at == 2);
  CHECK(result.refused[1].request == 1);
  CHECK(result.refused[1].at == 1234);
  CHECK(result.refused[2].at == 2999);
  CHECK(result.refused[5].request == 4);
  CHECK(result.refused[5].detail.find("no poison here") != std::string::npos);
  CHECK(db->commit(*batch).requests.at(3).duplicates == 2); // the next one is not disturbed
  CHECK(db->close().why() == "");
  CHECK(ask_database(dir.file(), "SELECT count(*) FROM event") == 3001);
  CHECK(ask_database(dir.file(), "SELECT count(DISTINCT identity) FROM event") == 3001);
  CHECK(total_of(dir.settings()) == 3001);
}

TEST_CASE(
  "a new file gets the schema of today; another's file and a newer schema are refused untouched") {
  database_dir dir;
  { REQUIRE(make_sqlite_store(dir.settings())->open().why() == ""); }
  CHECK(ask_database(dir.file(), "PRAGMA user_version") == current_schema());
  {
    sqlite_connection db;
    db.open(dir.file(), sqlite_connection::access::read_write);
    db.run("PRAGMA user_version = 99");
  }
  CHECK(make_sqlite_store(dir.settings())->open().why().find("newer version") != std::string::npos);
  database_dir foreign;
  {
    sqlite_connection db;
    db.open(foreign.file(), sqlite_connection::access::read_write);
    db.run("CREATE TABLE theirs (x)");
  }
  CHECK(make_sqlite_store(foreign.settings())->open().why().find("not one of phi-backend")
        != std::string::npos);
  CHECK(ask_database(foreign.file(), "SELECT count(*) FROM sqlite_schema") == 1);
}

TEST_CASE("sqlite_wal decides about the journal, and can be changed for a database that is there") {
  database_dir dir;
  for (bool wal : {true, false, true}) {
    auto with = dir.settings();
    with.wal = wal;
    auto db = make_sqlite_store(with);
    REQUIRE(db->open().why() == "");
    CHECK(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
    CHECK(db->close().why() == "");
    CHECK(ask_database(dir.file(), "SELECT journal_mode = 'wal' FROM pragma_journal_mode") == wal);
  }
}

TEST_CASE("values are bound to the parameters by number, and columns read in their order") {
  sqlite_connection db;
  db.open(":memory:", sqlite_connection::access::read_write);
  statement ask{db, "SELECT $3, $1, $2 IS NULL, NULL, $3"};
  ask.bind_all({int64_t{7}, {}, std::string_view{"a"}, int64_t{9}}); // the last is not used
  REQUIRE(ask.step());
  std::string first;
  int64_t second = 0;
  uint64_t third = 0;
  std::optional<int64_t> fourth = 1;
  std::optional<std::string> fifth;
  statistics::read_columns(ask, first, second, third, fourth, fifth);
  CHECK(first == "a");
  CHECK(second == 7);
  CHECK(third == 1);
  CHECK_FALSE(fourth.has_value());
  CHECK(fifth.value_or("") == "a");
  ask.reset();
  CHECK_THROWS_AS(ask.bind_all({int64_t{7}, {}}), std::logic_error);
}
