// Long work at the file of the spool: it shows that it gets on, and a stop ends what may end.

#include "server/store/spool/spooled_rows.hpp"
#include "server/store/sqlite/connection.hpp"
#include "tests/server/store/spool/spool_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"

#include <filesystem>
#include <fstream>
#include <limits>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

/// Ends the work at the first look, once it is told to.
class ending_watch : public work_watch {
public:
  end_cause check() noexcept override { return ++looks > most ? end_cause::stopping : why; }
  end_cause why = end_cause::none;
  int looks = 0;
  int most = std::numeric_limits<int>::max(); ///< looks that it lets pass
};

} // namespace

TEST_CASE("a check of the spool shows that it gets on, and ends when it is told to") {
  spool_dir dir;
  auto watch = std::make_shared<ending_watch>();
  auto spool = dir.spool();
  spool->watched_by(watch);
  REQUIRE(spool->open().why() == "");
  watch->looks = 0;
  fill(*spool, 0, 500);
  CHECK(watch->looks == 0); // an append is not watched: a stop must not end it
  CHECK(ask(*spool, spool_check{})["batches"] == 500);
  CHECK(watch->looks > 0);
  watch->why = end_cause::stopping;
  CHECK(answer_whole(*spool, spool_check{}).error == error_code::stopping);
  fill(*spool, 500, 1); // nothing else is ended by it
  watch->why = end_cause::none;
  CHECK(ask(*spool, spool_check{})["batches"] == 501);
}

TEST_CASE("an opening of the spool shows that it gets on, and ends when it is told to") {
  spool_dir dir;
  {
    auto spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    fill(*spool, 0, 100, 1000);
    CHECK(spool->close().why() == "");
  }
  auto pages = static_cast<int>(fs::file_size(dir.file()) / 4096);
  REQUIRE(pages > 500);
  auto watch = std::make_shared<ending_watch>();
  for (int most : {0, 1, pages / 2, pages + 50}) {
    CAPTURE(most);
    recorded_log log;
    auto spool = dir.spool();
    watch->looks = 0;
    watch->most = most;
    spool->watched_by(watch);
    CHECK(spool->open().why() == dir.file() + ": it was given up for the stop");
    CHECK(watch->looks == most + 1); // at once
    CHECK_FALSE(log.contains("was damaged"));
  }
  watch->looks = 0;
  watch->most = std::numeric_limits<int>::max();
  auto spool = dir.spool();
  spool->watched_by(watch);
  REQUIRE(spool->open().why() == "");
  CHECK(watch->looks > pages);
  CHECK(spool->depth().batches == 100);
  // In use a stop ends nothing that what comes in it needs.
  watch->why = end_cause::stopping;
  fill(*spool, 200, 1, 1000);
  CHECK(spool->depth().batches == 101);
  CHECK(spool->close().why() == "");
}

TEST_CASE("a repair of the spool shows that it gets on, and ends when it is told to: the next "
          "opening does it") {
  spool_dir dir;
  {
    auto spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    fill(*spool, 0, 100, 1000);
    CHECK(spool->close().why() == "");
  }
  auto damage = [&] {
    std::fstream out{dir.file(), std::ios::in | std::ios::out | std::ios::binary};
    out.seekp(static_cast<std::streamoff>(fs::file_size(dir.file()) / 2 / 4096 * 4096));
    out << std::string(8192, '\xa5') << std::flush;
  };
  damage();
  auto damaged_files = [&] {
    size_t out = 0;
    for (const auto& entry : fs::directory_iterator{fs::path{dir.file()}.parent_path()}) {
      auto name = entry.path().filename().string();
      out +=
        name.find(".damaged-") != name.npos && !name.ends_with("-wal") && !name.ends_with("-shm");
    }
    return out;
  };
  auto watch = std::make_shared<ending_watch>();
  // How many looks it takes to come to the repair.
  sqlite_connection db;
  REQUIRE_FALSE(open_spool(db, dir.file(), watch.get()));
  db.close();
  watch->most = watch->looks + 20;
  watch->looks = 0;
  {
    auto spool = dir.spool();
    spool->watched_by(watch);
    CHECK(spool->open().why() == dir.file() + ": it was given up for the stop");
    CHECK(fs::exists(dir.file(".repair")));
    CHECK(damaged_files() == 0);
  }
  watch->most = std::numeric_limits<int>::max();
  recorded_log log;
  auto spool = dir.spool();
  spool->watched_by(watch);
  REQUIRE(spool->open().why() == "");
  CHECK(log.contains("was damaged"));
  CHECK_FALSE(fs::exists(dir.file(".repair")));
  CHECK(damaged_files() == 1);
  CHECK(spool->depth().batches > 80);
  // What breaks while it is in use is repaired also in a stop: more may come.
  watch->why = end_cause::stopping;
  damage();
  auto batches = spool->depth().batches;
  for (size_t skip = 0; skip < batches && log.count("was damaged; what could be read") < 2; ++skip)
    spool->front(1, skip);
  CHECK(log.count("was damaged; what could be read") == 2);
  fill(*spool, 200, 1);
  CHECK(damaged_files() == 2);
}
