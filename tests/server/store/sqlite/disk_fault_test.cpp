// The embedded database on a disk that fails, and a file that is taken away under it.

#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/failing_disk.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

class database_dir : public temp_dir {
public:
  std::string file(const std::string& suffix = "") const { return path("phi.db") + suffix; }
  store_port_ptr store(uint64_t log_limit = uint64_t{64} << 20) const {
    return make_sqlite_store(
      {.file = file(), .busy_timeout = std::chrono::milliseconds{200}, .log_limit = log_limit});
  }
  int64_t events() const { return ask_database(file(), "SELECT count(*) FROM event"); }
};

} // namespace

TEST_CASE("a flush that fails in COMMIT: nobody knows, the connection is made anew, and the resend "
          "counts once") {
  failing_disk disk;
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open().why() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  auto batch = batch_of({{make_event(2), make_event(3)}});
  disk.fail_flush_of_log();
  auto failed = db->commit(*batch);
  CHECK(disk.failed() > 0);
  CHECK(failed.error == error_code::outcome_unknown);
  CHECK(failed.requests.empty());
  auto still = db->commit(*batch_of({{make_event(4)}}));
  CHECK(still.error != error_code::none); // and never an answer that says it is stored
  disk.heal();
  auto again = db->commit(*batch_of({{make_event(2), make_event(3)}}));
  REQUIRE(again.error == error_code::none);
  CHECK(again.requests[0].stored + again.requests[0].duplicates == 2);
  CHECK(db->commit(*batch_of({{make_event(2), make_event(5)}})).requests[0].duplicates == 1);
  CHECK(db->close().why() == "");
  CHECK(dir.events() >= 4);
  CHECK(ask_database(dir.file(), "SELECT count(*) - count(DISTINCT identity) FROM event") == 0);
  CHECK(count_mismatch(in_file(dir.file())) == "");
}

TEST_CASE("a disk that is full in COMMIT: refused for certain, and stored when there is room") {
  failing_disk disk;
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open().why() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  int nth = 1;
  for (;; ++nth) { // each write of a commit, until one has no more of them
    disk.fail_write_of_log(nth, SQLITE_FULL);
    auto tried = db->commit(*batch_of({{make_event(2), make_event(3)}}));
    disk.heal();
    if (tried.error == error_code::none) {
      CHECK(tried.requests.at(0).stored == 2);
      break;
    }
    CHECK(tried.error == error_code::store_unavailable);
    CHECK(tried.detail.find("full") != std::string::npos);
    CHECK(ask_database(dir.file(), "SELECT count(*) FROM event") == 1);
  }
  CHECK(nth > 2);
  CHECK(db->close().why() == "");
  CHECK(dir.events() == 3);
}

namespace {

/// Events of ten days, which become ten cubes.
std::vector<event> of_ten_days(uint32_t first, uint32_t number) {
  std::vector<event> out;
  for (uint32_t i = first; i < first + number; ++i)
    out.push_back(make_event(i, "f", int64_t{i % 10} * 86'400'000'000));
  return out;
}

sqlite_settings with_small_cubes(const database_dir& dir, int64_t tail_events) {
  return {.file = dir.file(),
          .busy_timeout = std::chrono::milliseconds{200},
          .cubes = {.tail_events = tail_events}};
}

} // namespace

TEST_CASE(
  "a disk that has room for rows and not for cubes: the next commit stores its rows alone") {
  int found = 0;
  for (int room = 2; room < 40; ++room) { // writes until it is full
    failing_disk disk;
    database_dir dir;
    auto db = make_sqlite_store(with_small_cubes(dir, 60));
    REQUIRE(db->open().why() == "");
    REQUIRE(db->commit(*batch_of({of_ten_days(0, 80)})).error == error_code::none);
    disk.fail_write_of_log(room, SQLITE_FULL);
    auto with_cubes = db->commit(*batch_of({of_ten_days(100, 5)}));
    disk.fail_write_of_log(room, SQLITE_FULL);
    auto alone = db->commit(*batch_of({of_ten_days(100, 5)}));
    disk.heal();
    found += with_cubes.error == error_code::store_unavailable && alone.error == error_code::none;
    if (alone.error == error_code::none)
      CHECK(alone.requests.at(0).stored + alone.requests.at(0).duplicates == 5);
    CHECK(db->close().why() == "");
  }
  CHECK(found > 3);
}

TEST_CASE("a full disk at a start: what is behind is counted later, and events are asked for") {
  failing_disk disk;
  database_dir dir;
  {
    auto db = make_sqlite_store(with_small_cubes(dir, 100'000));
    REQUIRE(db->open().why() == "");
    REQUIRE(db->commit(*batch_of({of_ten_days(0, 500)})).error == error_code::none);
    CHECK(db->close().why() == "");
  }
  auto db = make_sqlite_store(with_small_cubes(dir, 60));
  disk.fail_write_of_log(1, SQLITE_FULL);
  CHECK(db->open().why() == "");
  CHECK(disk.failed() > 0);
  CHECK(ask_database(dir.file(), "SELECT last_seq FROM counted") == 0);
  CHECK(db->commit(*batch_of({of_ten_days(500, 1)})).error == error_code::store_unavailable);
  disk.heal();
  CHECK(db->commit(*batch_of({of_ten_days(0, 10)})).requests.at(0).duplicates == 10);
  CHECK(db->close().why() == "");
  REQUIRE(db->open().why() == "");
  CHECK(ask_database(dir.file(), "SELECT last_seq FROM counted") > 400);
  CHECK(db->close().why() == "");
  CHECK(dir.events() == 500);
}

TEST_CASE("a write that fails before COMMIT: refused for certain, and not there") {
  failing_disk disk;
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open().why() == "");
  {
    // Without COMMIT nothing is written to the log: a batch that nobody wants is rolled back.
    auto batch = batch_of({{make_event(1)}});
    batch->abandon();
    disk.fail_write_of_log();
    CHECK(db->commit(*batch).error == error_code::store_unavailable);
    disk.heal();
  }
  CHECK(db->commit(*batch_of({{make_event(1)}})).requests[0].stored == 1);
  CHECK(db->close().why() == "");
  CHECK(dir.events() == 1);
}

TEST_CASE(
  "the database file is moved away, or replaced: refused before it is acknowledged, said, and "
  "it goes on when the file is back") {
  for (std::string what : {"moved", "deleted log", "replaced"}) {
    CAPTURE(what);
    database_dir dir;
    auto db = dir.store();
    REQUIRE(db->open().why() == "");
    REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
    CHECK(db->condition().why() == "");
    auto victim = dir.file(what == "deleted log" ? "-wal" : "");
    fs::rename(victim, victim + ".away");
    if (what == "replaced")
      fs::copy_file(victim + ".away", victim);
    auto wanted = victim
                  + (what == "replaced" ? " has been replaced by another file"
                                        : " has been moved away or deleted");
    CHECK(db->condition().why() == wanted);
    for (uint32_t i = 2; i < 4; ++i) {
      auto refused = db->commit(*batch_of({{make_event(i)}}));
      CHECK(refused.error == error_code::store_unavailable);
      CHECK(refused.detail == wanted);
    }
    fs::rename(victim + ".away", victim);
    CHECK(db->condition().why() == "");
    CHECK(db->commit(*batch_of({{make_event(4)}})).requests.at(0).stored == 1);
    CHECK(db->close().why() == "");
    CHECK(dir.events() == 2);
  }
}

TEST_CASE("a database that is moved away at the end is missed at the close") {
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open().why() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  fs::rename(dir.file(), dir.file(".away"));
  auto closed = db->close();
  CHECK(closed.why() == dir.file() + " has been moved away or deleted");
  CHECK(closed.is(outcome::kind::out_of_reach));
  fs::rename(dir.file(".away"), dir.file());
  REQUIRE(db->open().why() == "");
  CHECK(db->close().why() == "");
}

TEST_CASE("a log that cannot be written back is said to be large") {
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open().why() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  fs::resize_file(dir.file("-wal"), uint64_t{300} << 20); // sparse
  CHECK(db->condition().why()
        == "the write-ahead log has grown to 300 MiB: somebody has been reading the database for"
           " long");
}

namespace {

/// Reads all the time, for `turn` each time, in two connections of which one has always begun
/// before the other ends.
class endless_readers {
public:
  endless_readers(const std::string& file, std::chrono::milliseconds turn) {
    for (int i = 0; i < 2; ++i)
      threads_.emplace_back([this, file, turn, i] {
        sqlite_connection db;
        db.open(file, sqlite_connection::access::read_only);
        std::this_thread::sleep_for(turn / 2 * i);
        while (!over_) {
          db.run("BEGIN; SELECT count(*) FROM event");
          std::this_thread::sleep_for(turn);
          db.run("COMMIT");
        }
      });
  }
  ~endless_readers() {
    over_ = true;
    for (auto& one : threads_)
      one.join();
  }
  endless_readers(const endless_readers&) = delete;

private:
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

uint64_t log_size(const database_dir& dir) {
  return fs::file_size(dir.file("-wal"));
}

/// Commits about a MiB of rows.
void commit_much(store_port& db, uint32_t first) {
  std::vector<event> events;
  for (uint32_t i = 0; i < 256; ++i) {
    events.push_back(make_event(first * 256 + i));
    events.back().extra = "{\"x\":\"" + std::string(4000, 'x') + "\"}";
  }
  REQUIRE(db.commit(*batch_of({events})).error == error_code::none);
}

} // namespace

TEST_CASE("while one reader follows upon another the log is made to begin anew") {
  constexpr uint64_t limit = uint64_t{4} << 20;
  database_dir dir;
  auto db = dir.store(limit);
  REQUIRE(db->open().why() == "");
  int cuts = 0;
  {
    endless_readers readers{dir.file(), std::chrono::milliseconds{20}};
    auto began = std::chrono::steady_clock::now();
    for (uint32_t i = 0;
         cuts < 2 && std::chrono::steady_clock::now() - began < std::chrono::seconds{60}; ++i) {
      auto before = log_size(dir);
      commit_much(*db, i);
      cuts += log_size(dir) < before;
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }
  CHECK(cuts == 2);
}

TEST_CASE("the log is cut when a reader that has stayed for long ends, also when nobody sends") {
  constexpr uint64_t limit = uint64_t{4} << 20;
  database_dir dir;
  auto db = dir.store(limit);
  REQUIRE(db->open().why() == "");
  commit_much(*db, 0);
  {
    sqlite_connection reader;
    reader.open(dir.file(), sqlite_connection::access::read_only);
    reader.run("BEGIN; SELECT count(*) FROM event");
    for (uint32_t i = 1; i < 8; ++i)
      commit_much(*db, i);
    CHECK(log_size(dir) > limit);
    auto began = std::chrono::steady_clock::now();
    db->tidy_up(); // in vain, and not for long
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{1});
    CHECK(log_size(dir) > limit);
  }
  for (int i = 0; i < 100 && log_size(dir) > 0; ++i) { // it tries a tenth of the time at most
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    db->tidy_up();
  }
  CHECK(log_size(dir) == 0);
  CHECK(db->commit(*batch_of({{make_event(5000)}})).error == error_code::none);
  CHECK(db->close().why() == "");
  CHECK(dir.events() == 8 * 256 + 1);
}

TEST_CASE(
  "a disk without a byte left where the index of the log has to grow: an error, and never a "
  "signal that ends the process"
  * doctest::skip(may_not_mount())) {
  database_dir dir;
  small_disk disk{dir.path(), "40m"};
  auto db = dir.store();
  REQUIRE(db->open().why() == "");
  commit_much(*db, 0);
  sqlite_connection reader; // so that the log grows
  reader.open(dir.file(), sqlite_connection::access::read_only);
  reader.run("BEGIN; SELECT count(*) FROM event");
  constexpr uint64_t frame = 4096 + 24;
  constexpr uint64_t first_part = 4062 * frame; // what 32 KiB of the index know of
  uint32_t number = 1;
  while (log_size(dir) + (uint64_t{5} << 18) < first_part)
    commit_much(*db, number++);
  disk.fill();
  int64_t stored = number * 256;
  int failed = 0;
  // A page more at a time, over the place where the index needs its next part.
  for (uint32_t i = 0; log_size(dir) < first_part + 64 * frame; ++i) {
    REQUIRE(i < 2000);
    auto said = db->commit(*batch_of({{make_event(1'000'000 + i)}}));
    stored += said.error == error_code::none;
    failed += said.error != error_code::none;
    if (said.error == error_code::outcome_unknown) // find out
      stored += db->commit(*batch_of({{make_event(1'000'000 + i)}})).error == error_code::none;
    if (auto ballast = dir.path() + "/ballast"; said.error != error_code::none)
      fs::resize_file(ballast, fs::file_size(ballast) - 4096);
  }
  CHECK(failed > 0);
  CHECK(fs::file_size(dir.file("-shm")) > 32768);
  CHECK(ask_database(dir.file(), "PRAGMA mmap_size") == 0); // no other file is mapped
  disk.clear();
  reader.close();
  CHECK(db->close().why() == "");
  CHECK(dir.events() == stored);
}
