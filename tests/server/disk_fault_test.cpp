// The embedded database on a disk that fails, and a file that is taken away under it.

#include "server/store/sqlite_store.hpp"
#include "tests/server/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/failing_disk.hpp"
#include "tests/support/stored.hpp"

#include <filesystem>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

class database_dir {
public:
  database_dir() {
    char name[] = "/tmp/phi-disk-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~database_dir() { fs::remove_all(path_); }
  database_dir(const database_dir&) = delete;
  std::string file(const std::string& suffix = "") const { return path_ + "/phi.db" + suffix; }
  store_port_ptr store() const {
    return make_sqlite_store({.file = file(), .busy_timeout = std::chrono::milliseconds{200}});
  }
  int64_t events() const { return ask_database(file(), "SELECT count(*) FROM event"); }

private:
  std::string path_;
};

} // namespace

TEST_CASE("a flush that fails in COMMIT: nobody knows, the connection is made anew, and the resend "
          "counts once") {
  failing_disk disk;
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open() == "");
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
  CHECK(db->close() == "");
  CHECK(dir.events() >= 4);
  CHECK(ask_database(dir.file(), "SELECT count(*) - count(DISTINCT identity) FROM event") == 0);
  CHECK(ask_database(dir.file(), "SELECT sum(n) - (SELECT count(*) FROM event) FROM rollup_count")
        == 0);
}

TEST_CASE("a disk that is full in COMMIT: refused for certain, and stored when there is room") {
  failing_disk disk;
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  for (int nth = 1; nth < 6; ++nth) {
    disk.fail_write_of_log(nth, SQLITE_FULL);
    auto batch = batch_of({{make_event(2), make_event(3)}});
    auto refused = db->commit(*batch);
    CHECK(refused.error == error_code::store_unavailable);
    CHECK(refused.detail.find("full") != std::string::npos);
    disk.heal();
    CHECK(ask_database(dir.file(), "SELECT count(*) FROM event") == 1);
  }
  CHECK(db->commit(*batch_of({{make_event(2), make_event(3)}})).requests.at(0).stored == 2);
  CHECK(db->close() == "");
  CHECK(dir.events() == 3);
}

TEST_CASE("a write that fails before COMMIT: refused for certain, and not there") {
  failing_disk disk;
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open() == "");
  {
    // Without COMMIT nothing is written to the log: a batch that nobody wants is rolled back.
    auto batch = batch_of({{make_event(1)}});
    batch->abandon();
    disk.fail_write_of_log();
    CHECK(db->commit(*batch).error == error_code::store_unavailable);
    disk.heal();
  }
  CHECK(db->commit(*batch_of({{make_event(1)}})).requests[0].stored == 1);
  CHECK(db->close() == "");
  CHECK(dir.events() == 1);
}

TEST_CASE(
  "the database file is moved away, or replaced: refused before it is acknowledged, said, and "
  "it goes on when the file is back") {
  for (std::string what : {"moved", "deleted log", "replaced"}) {
    CAPTURE(what);
    database_dir dir;
    auto db = dir.store();
    REQUIRE(db->open() == "");
    REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
    CHECK(db->degraded() == "");
    auto victim = dir.file(what == "deleted log" ? "-wal" : "");
    fs::rename(victim, victim + ".away");
    if (what == "replaced")
      fs::copy_file(victim + ".away", victim);
    auto wanted = victim
                  + (what == "replaced" ? " has been replaced by another file"
                                        : " has been moved away or deleted");
    CHECK(db->degraded() == wanted);
    for (uint32_t i = 2; i < 4; ++i) {
      auto refused = db->commit(*batch_of({{make_event(i)}}));
      CHECK(refused.error == error_code::store_unavailable);
      CHECK(refused.detail == wanted);
    }
    fs::rename(victim + ".away", victim);
    CHECK(db->degraded() == "");
    CHECK(db->commit(*batch_of({{make_event(4)}})).requests.at(0).stored == 1);
    CHECK(db->close() == "");
    CHECK(dir.events() == 2);
  }
}

TEST_CASE("a database that is moved away at the end is missed at the close") {
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  fs::rename(dir.file(), dir.file(".away"));
  CHECK(db->out_of_reach() == dir.file() + " has been moved away or deleted");
  fs::rename(dir.file(".away"), dir.file());
  CHECK(db->out_of_reach() == "");
  CHECK(db->close() == "");
}

TEST_CASE("a log that cannot be written back is said to be large") {
  database_dir dir;
  auto db = dir.store();
  REQUIRE(db->open() == "");
  REQUIRE(db->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  fs::resize_file(dir.file("-wal"), uint64_t{300} << 20); // sparse
  CHECK(db->degraded()
        == "the write-ahead log has grown to 300 MiB: somebody has been reading the database for"
           " long");
}
