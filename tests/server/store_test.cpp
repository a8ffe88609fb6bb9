// The embedded database, for real: transactions, identities, roll-ups, migrations, questions.

#include "server/store/rollup.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite.hpp"
#include "server/store/sqlite_store.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>

using namespace phi;
using namespace phi::store;
using phi::testing::ask_database;
using phi::testing::rollup_mismatch;
using json = nlohmann::json;

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

event make_event(uint32_t number, std::string feature = "f",
                 int64_t time_us = 1'767'323'045'000'000) {
  event e{.time_us = time_us, .feature = std::move(feature)};
  e.identity[0] = static_cast<uint8_t>(number);
  e.identity[1] = static_cast<uint8_t>(number >> 8);
  e.identity[2] = static_cast<uint8_t>(number >> 16);
  return e;
}

std::shared_ptr<commit_batch> batch_of(std::vector<std::vector<event>> requests) {
  auto out = std::make_shared<commit_batch>();
  for (auto& events : requests) {
    out->events += events.size();
    out->requests.push_back({.events = std::move(events)});
  }
  return out;
}

} // namespace

TEST_CASE("events of several requests are committed in one transaction, each counted once") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open() == "");
  auto result = db->commit(
    *batch_of({{make_event(1), make_event(2)}, {make_event(2), make_event(3)}, {make_event(1)}}));
  REQUIRE(result.error == error_code::none);
  REQUIRE(result.requests.size() == 3);
  CHECK(result.requests[0].stored == 2);
  CHECK(result.requests[1].stored == 1);
  CHECK(result.requests[1].duplicates == 1);
  CHECK(result.requests[2].duplicates == 1);
  CHECK(db->commit(*batch_of({{make_event(3)}})).requests[0].duplicates == 1);
  CHECK(db->close() == "");
  CHECK(ask_database(dir.file(), "SELECT count(*) FROM event") == 3);
  CHECK(rollup_mismatch(dir.file()) == "");
}

TEST_CASE("an abandoned batch leaves no trace, and can be committed when it is opened again") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open() == "");
  auto batch = batch_of({{make_event(1)}});
  REQUIRE(batch->abandon());
  CHECK(db->commit(*batch).error == error_code::store_unavailable);
  CHECK(ask_database(dir.file(), "SELECT count(*) FROM event") == 0);
  CHECK(ask_database(dir.file(), "SELECT count(*) FROM identity") == 0);
  batch->reopen();
  CHECK(db->commit(*batch).requests[0].stored == 1);
}

TEST_CASE("roll-ups say what the rows say, for random events in random batches") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open() == "");
  std::mt19937 random{42};
  for (int round = 0; round < 30; ++round) {
    std::vector<event> events;
    for (int i = 0; i < 200; ++i) {
      auto e =
        make_event(static_cast<uint32_t>(random() % 4000), "f" + std::to_string(random() % 3),
                   1'767'323'045'000'000 + static_cast<int64_t>(random()) % 1'000'000'000'000);
      e.status = static_cast<int32_t>(random() % 4 ? 100 + random() % 500 : 0);
      e.duration_us = random() % 3 ? static_cast<int64_t>(random() % 10'000'000) : -1;
      e.route = random() % 2 ? "/r" + std::to_string(random() % 5) : "";
      e.user_hash = random() % 2 ? "user" + std::to_string(random() % 50) : "";
      e.instance = random() % 2 ? "i" : "";
      events.push_back(std::move(e));
    }
    REQUIRE(db->commit(*batch_of({std::move(events)})).error == error_code::none);
  }
  CHECK(rollup_mismatch(dir.file()) == "");
}

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

TEST_CASE("unique users of a day are exact in any zone") {
  database_dir dir;
  auto db = make_sqlite_store(dir.settings());
  REQUIRE(db->open() == "");
  std::vector<event> events;
  // One user an hour over two UTC days; user 0 comes in every hour.
  constexpr int64_t midnight = 1'767'312'000'000'000; // 2026-01-02T00:00:00Z
  uint32_t number = 0;
  for (int hour = 0; hour < 48; ++hour)
    for (auto user : {hour, 0}) {
      auto e = make_event(++number, "f", midnight + hour * 3'600'000'000LL);
      e.user_hash = "u" + std::to_string(user);
      events.push_back(std::move(e));
    }
  db->commit(*batch_of({std::move(events)}));
  auto reader = make_sqlite_reader(dir.settings());
  REQUIRE(reader->open() == "");
  auto users = [&](const char* zone, int32_t day) {
    auto answer = reader->answer(
      {.kind = query_kind::daily_features, .zone = zone, .first_day = day, .last_day = day});
    REQUIRE(answer.error == error_code::none);
    return json::parse(answer.body)["rows"][0]["uniqueUsers"].get<int>();
  };
  auto day = static_cast<int32_t>(midnight / 86'400'000'000);
  CHECK(users("UTC", day) == 24);
  CHECK(users("UTC", day + 1) == 25);
  CHECK(users("Asia/Kathmandu", day) == 19);     // 00:00 to 18:15 UTC: hours 0 to 18
  CHECK(users("Asia/Kathmandu", day + 1) == 25); // hours 19 to 42, and user 0
}

TEST_CASE("a question that takes too long is ended and told so") {
  database_dir dir;
  auto with = dir.settings();
  auto db = make_sqlite_store(with);
  REQUIRE(db->open() == "");
  std::vector<event> events;
  for (uint32_t i = 0; i < 20'000; ++i)
    events.push_back(make_event(i, "f" + std::to_string(i)));
  REQUIRE(db->commit(*batch_of({std::move(events)})).error == error_code::none);
  with.query_timeout = std::chrono::milliseconds{0};
  auto reader = make_sqlite_reader(with);
  REQUIRE(reader->open() == "");
  auto answer =
    reader->answer({.kind = query_kind::summary, .include = {.routes = true, .actions = true}});
  CHECK(answer.error == error_code::query_timeout);
  CHECK(answer.detail.find("shorter range") != std::string::npos);
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
