// The database fails: locked, read-only, full. No acknowledged event is lost, and the exit code
// tells.

#include "tests/support/doctest.hpp"
#include "tests/support/exactly_once.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/small_disk.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sqlite3.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

const std::string one_event = R"({"feature":"f","action":"a"})";

/// Holds the write lock of a database from another connection, as another process would.
class database_lock {
public:
  explicit database_lock(const std::string& file) {
    sqlite3_open(file.c_str(), &db_);
    sqlite3_busy_timeout(db_, 5000);
    REQUIRE(sqlite3_exec(db_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~database_lock() {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(db_);
  }

private:
  sqlite3* db_ = nullptr;
};

int many_rows() {
  return has_sanitizer() ? 1'500'000 : 5'000'000;
}

/// A database of a service, with rows whose identities the next start has to read, and to count.
void fill_with_rows(const std::string& file) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  auto rows = "PRAGMA synchronous = OFF;"
              "INSERT INTO event(time_us, identity, feature)"
              " WITH RECURSIVE number(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM number"
              " WHERE n < "
              + std::to_string(many_rows())
              + ") SELECT 1700000000000000 + n, randomblob(16), 'old' FROM number";
  CHECK(sqlite3_exec(db, rows.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

} // namespace

TEST_CASE("a start that takes longer than its time, but gets on: it is waited for, and a stop ends "
          "it at once") {
  temp_dir dir;
  service_process first{dir.path()};
  CHECK(first.stop().code == 0);
  fill_with_rows(first.database());
  // With a sanitizer, what shows no progress (to sort in memory) takes as much longer.
  auto seconds = has_sanitizer() ? 6s : 1s;
  settings short_time{{"APP_SHUTDOWN_START_TIMEOUT_SECS", std::to_string(seconds.count())}};
  {
    service_process stopped{dir.path(), short_time, false};
    REQUIRE(stopped.wait_for_log("supervisor starts"));
    std::this_thread::sleep_for(300ms);
    auto end = stopped.stop();
    CHECK(end.code == 0);
    CHECK(end.took < 500ms);
    CHECK(stopped.logged("gives up opening the database for the stop"));
  }
  auto began = std::chrono::steady_clock::now();
  service_process whole{dir.path(), short_time};
  CHECK(std::chrono::steady_clock::now() - began > seconds + 200ms); // else this shows nothing
  CHECK(post(whole.port(), "/api/v1/events", one_event).status == 200);
  CHECK(whole.stop().code == 0);
  CHECK(ask_database(whole.database(), "SELECT count(*) FROM event WHERE feature = 'old'")
        == many_rows());
  CHECK(ask_database(whole.database(), "SELECT count(*) FROM event WHERE feature = 'f'") == 1);
}

TEST_CASE("a locked database: 503 with Retry-After after the busy time-out, then it goes on") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_BUSY_TIMEOUT_MS", "300"}}};
  {
    database_lock held{service.database()};
    auto answer = post(service.port(), "/api/v1/events", one_event);
    CHECK(answer.status == 503);
    CHECK(answer.headers.contains("retry-after"));
    CHECK(answer.body.find("store_unavailable") != std::string::npos);
    CHECK(get(service.port(), "/health").body.find("degraded") != std::string::npos);
    CHECK(get(service.port(), "/health/live").status == 200);
  }
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  CHECK(get(service.port(), "/health").body.find("\"status\":\"ok\"") != std::string::npos);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 1);
}

TEST_CASE("events that the database refuses are named to their sender; all others are stored") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(service.database().c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db,
                       "CREATE TRIGGER refuse BEFORE INSERT ON event WHEN NEW.action = 'poison'"
                       " BEGIN SELECT RAISE(ABORT, 'no poison here'); END",
                       nullptr, nullptr, nullptr)
          == SQLITE_OK);
  sqlite3_close(db);
  auto send = [&](const std::string& body, const std::string& query = "") {
    auto answer = post(service.port(), "/api/v1/events" + query, body);
    auto json = nlohmann::json::parse(answer.body);
    json["http"] = answer.status;
    return json;
  };
  const std::string poison = R"({"feature":"f","action":"poison"})";
  std::atomic<bool> over{false};
  std::thread innocents{[&] {
    while (!over)
      CHECK(post(service.port(), "/api/v1/events", R"({"feature":"innocent"})").status == 200);
  }};
  for (int i = 0; i < 10; ++i) {
    auto mixed = send("[" + one_event + R"(,{"wrong":1},)" + poison + "," + one_event + "]");
    CHECK(mixed["http"] == 200);
    CHECK(mixed["stored"] == 2);
    REQUIRE(mixed["rejected"].size() == 2);
    CHECK(mixed["rejected"][1]["index"] == 2);
    CHECK(mixed["rejected"][1]["code"] == "refused_by_store");
    CHECK(mixed["rejected"][1]["message"].get<std::string>().find("no poison here")
          != std::string::npos);
    auto alone = send(poison);
    CHECK(alone["http"] == 400);
    CHECK(alone["code"] == "nothing_valid");
    CHECK(alone["errors"][0]["code"] == "refused_by_store");
    auto atomic = send("[" + one_event + "," + poison + "]", "?atomic=true");
    CHECK(atomic["http"] == 400);
    CHECK(atomic["code"] == "atomic_refused");
  }
  over = true;
  innocents.join();
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 20);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE action='poison'") == 0);
}

TEST_CASE(
  "a rule of somebody's own that forbids our trial as well: the others are stored all the same") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(service.database().c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db,
                       "CREATE TRIGGER refuse BEFORE INSERT ON event WHEN NEW.feature NOT LIKE 'f%'"
                       " BEGIN SELECT RAISE(ABORT, 'not one of ours'); END",
                       nullptr, nullptr, nullptr)
          == SQLITE_OK);
  const std::string bad = R"({"feature":"bad"})";
  auto alone = post(service.port(), "/api/v1/events", bad);
  CHECK(alone.status == 503); // nothing shows that the database takes anything
  std::string many = "[" + bad;
  for (int i = 1; i < 999; ++i)
    many += "," + (i % 400 == 7 ? one_event : bad);
  auto mixed = post(service.port(), "/api/v1/events", many + "," + one_event + "]");
  CHECK(mixed.status == 200);
  auto told = nlohmann::json::parse(mixed.body);
  CHECK(told["stored"] == 4);
  REQUIRE(told["rejected"].size() == 996);
  CHECK(told["rejected"][995]["index"] == 998);
  alone = post(service.port(), "/api/v1/events", bad);
  CHECK(alone.status == 400); // it takes others: this one is at fault
  CHECK(alone.body.find("not one of ours") != std::string::npos);
  REQUIRE(sqlite3_exec(db,
                       "DROP TRIGGER refuse; CREATE TRIGGER refuse BEFORE INSERT ON event"
                       " BEGIN SELECT RAISE(ABORT, 'nothing'); END",
                       nullptr, nullptr, nullptr)
          == SQLITE_OK);
  CHECK(post(service.port(), "/api/v1/events", "[" + bad + "," + one_event + "]").status == 503);
  sqlite3_close(db);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 4);
}

TEST_CASE(
  "the database is moved away, deleted or replaced under the service: nothing is acknowledged "
  "any more, it says why, and goes on when the file is back") {
  for (std::string what : {"moved", "deleted", "replaced"}) {
    CAPTURE(what);
    temp_dir dir;
    service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
    for (int i = 0; i < 3; ++i)
      CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    std::filesystem::create_hard_link(service.database(), dir.path("kept"));
    if (what == "replaced")
      std::ofstream{dir.path("other")} << "";
    std::filesystem::rename(what == "replaced" ? dir.path("other") : service.database(),
                            what == "replaced" ? service.database() : dir.path("away"));
    if (what == "deleted")
      std::filesystem::remove(dir.path("away"));
    for (int i = 0; i < 5; ++i) {
      auto answer = post(service.port(), "/api/v1/events", one_event);
      CHECK(answer.status == 503);
      CHECK(answer.body.find("store_unavailable") != std::string::npos);
    }
    CHECK(get(service.port(), "/health").body.find("degraded") != std::string::npos);
    CHECK(service.wait_for_log(what == "replaced" ? "has been replaced by another file"
                                                  : "has been moved away or deleted"));
    if (what == "moved") {
      std::filesystem::rename(dir.path("away"), service.database());
      CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
      CHECK(service.stop().code == 0);
      CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 4);
      continue;
    }
    CHECK(service.stop().code == 83);
    CHECK(service.last_exit().find("phi.db has been") != std::string::npos);
    // What had been acknowledged is in the file that was taken away.
    CHECK(ask_database(dir.path("kept"), "SELECT count(*) FROM event") == 3);
  }
}

TEST_CASE("flaw 9: the database refuses writes at the stop: code 83, the events are counted as "
          "unaccounted for") {
  temp_dir dir;
  service_process service{dir.path(),
                          {{"APP_STATS_BUSY_TIMEOUT_MS", "100"},
                           {"APP_SHUTDOWN_TIMEOUT_SECS", "2"},
                           {"APP_STATS_DURABILITY", "queued"}}};
  CHECK(post(service.port(), "/api/v1/events", one_event).body.find("queued") != std::string::npos);
  std::this_thread::sleep_for(500ms);
  database_lock held{service.database()};
  for (int i = 0; i < 5; ++i)
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  auto end = service.stop();
  CHECK(end.code == 83);
  CHECK(service.logged("events could not be stored"));
  CHECK(service.last_exit().find("\"inQueue\": 0") == std::string::npos);
}

TEST_CASE("the database is locked at the stop and freed in time: code 0, everything is stored") {
  temp_dir dir;
  service_process service{
    dir.path(), {{"APP_STATS_BUSY_TIMEOUT_MS", "100"}, {"APP_STATS_DURABILITY", "queued"}}};
  auto held = std::make_unique<database_lock>(service.database());
  for (int i = 0; i < 5; ++i)
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  service.signal(SIGTERM);
  std::this_thread::sleep_for(700ms);
  CHECK(service.running());
  held.reset();
  CHECK(service.wait().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 5);
}

TEST_CASE("a full disk: refused events are told so, acknowledged ones are there after the restart"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  small_disk disk{dir.path("disk"), "3m"};
  load_result seen;
  {
    service_process service{dir.path(),
                            {{"APP_STATS_SQLITE_PATH", dir.path("disk/phi.db")},
                             {"APP_STATS_TRACK_REQUESTS", "false"},
                             {"APP_SHUTDOWN_TIMEOUT_SECS", "4"}}};
    load clients{service.port(), "load", 4, 100};
    CHECK(service.wait_for_log("is refused by the store"));
    std::this_thread::sleep_for(300ms);
    seen = clients.finish();
    CHECK(seen.refused.size() > 0);
    CHECK(seen.acknowledged.size() > 0);
    auto end = service.stop();
    CHECK(end.code == 0); // everything that came in was answered: nothing is unaccounted for
  }
  // Room again: the same file, opened by a service with space, has it all.
  temp_dir roomy;
  run_program({"/bin/sh", "-c", "cp " + dir.path("disk") + "/phi.db* " + roomy.path() + "/"});
  service_process again{roomy.path()};
  CHECK(again.stop().code == 0);
  check_exactly_once(in_file(again.database()), seen);
}

TEST_CASE("a full disk with events that nobody waits for: code 83"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  small_disk disk{dir.path("disk"), "3m"};
  service_process service{dir.path(),
                          {{"APP_STATS_SQLITE_PATH", dir.path("disk/phi.db")},
                           {"APP_STATS_DURABILITY", "queued"},
                           {"APP_SHUTDOWN_TIMEOUT_SECS", "2"}}};
  load clients{service.port(), "load", 4, 100};
  CHECK(service.wait_for_log("is refused by the store"));
  clients.finish();
  CHECK(service.stop().code == 83);
}

TEST_CASE("a read-only database: the start says what is wrong, code 1") {
  temp_dir dir;
  { service_process{dir.path()}.stop(); }
  run_program({"/bin/sh", "-c",
               "mkdir " + dir.path("ro") + " && cp " + dir.path("phi.db") + " " + dir.path("ro")});
  // Root may write to anything: a read-only mount is what stops it too.
  if (::mount(dir.path("ro").c_str(), dir.path("ro").c_str(), nullptr, MS_BIND, nullptr) != 0) {
    MESSAGE("needs the right to mount read-only");
    return;
  }
  ::mount(nullptr, dir.path("ro").c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr);
  service_process service{dir.path(), {{"APP_STATS_SQLITE_PATH", dir.path("ro/phi.db")}}, false};
  auto end = service.wait();
  ::umount2(dir.path("ro").c_str(), MNT_DETACH);
  CHECK(end.code == 1);
  CHECK(service.logged("ro/phi.db"));
}

TEST_CASE("a database that refuses inserts under way: 503, then it goes on, code 0"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  small_disk disk{dir.path("disk"), "3m"};
  service_process service{
    dir.path(),
    {{"APP_STATS_SQLITE_PATH", dir.path("disk/phi.db")}, {"APP_STATS_TRACK_REQUESTS", "false"}}};
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  sqlite3* db = nullptr;
  sqlite3_open(dir.path("disk/phi.db").c_str(), &db);
  CHECK(
    sqlite3_exec(
      db,
      "CREATE TRIGGER refuse BEFORE INSERT ON event BEGIN SELECT raise(ABORT, 'read only'); END",
      nullptr, nullptr, nullptr)
    == SQLITE_OK);
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 503);
  CHECK(sqlite3_exec(db, "DROP TRIGGER refuse", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  CHECK(service.stop().code == 0);
}

TEST_CASE("flaw 10: overload is refused with 503 and Retry-After, and the ledger still balances") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "store.commit=block:100"},
                           {"APP_STATS_QUEUE_MAX_EVENTS", "200"},
                           {"APP_STATS_MAX_EVENTS_PER_REQUEST", "100"}}};
  load clients{service.port(), "load", 8, 60};
  std::this_thread::sleep_for(1500ms);
  auto seen = clients.finish();
  CHECK(seen.refused.size() > 0);
  CHECK(seen.acknowledged.size() > 0);
  CHECK(seen.other_answers == 0);
  auto health = get(service.port(), "/health").body;
  CHECK(health.find("\"balanced\":true") != std::string::npos);
  CHECK(service.stop().code == 0);
  check_exactly_once(in_file(service.database()), seen);
  check_nothing_else(in_file(service.database()), seen);
}

TEST_CASE("flaw 11: a steady trickle of events that nobody waits for does not postpone the flush") {
  temp_dir dir;
  service_process service{
    dir.path(), {{"APP_STATS_DURABILITY", "queued"}, {"APP_STATS_FLUSH_INTERVAL_MS", "200"}}};
  http_client client{service.port()};
  for (int i = 0; i < 15; ++i) {
    CHECK(client.post("/api/v1/events", one_event).status == 200);
    std::this_thread::sleep_for(50ms);
  }
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") >= 8);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 15);
}

TEST_CASE(
  "a store that does not come back from COMMIT: the senders learn that the outcome is unknown") {
  REQUIRE(has_faults());
  temp_dir dir;
  // after the COMMIT, before anybody knows
  service_process service{
    dir.path(),
    {{"PHI_FAULTS", "store.committed=block:5000"}, {"APP_STATS_BUSY_TIMEOUT_MS", "100"}}};
  auto answer = post(service.port(), "/api/v1/events", R"({"feature":"f","id":"x"})");
  CHECK(answer.status == 500);
  CHECK(answer.body.find("outcome_unknown") != std::string::npos);
  std::this_thread::sleep_for(3s);
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"f","id":"x"})").status != 0);
  service.kill();
  service_process again{dir.path()};
  CHECK(post(again.port(), "/api/v1/events", R"({"feature":"f","id":"x"})")
          .body.find("\"duplicates\":1")
        != std::string::npos);
}
