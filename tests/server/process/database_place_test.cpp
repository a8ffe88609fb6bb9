// Where an empty database may begin, and what a start remembers of its place.

#include "protocol/restore_journal.hpp"
#include "server/process/database_place.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <filesystem>

using namespace phi;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

struct placed {
  placed() {
    settings.resolved.state_dir = state.path();
    settings.resolved.sqlite_path = database;
  }
  std::string take() { return take_database_place(settings).why(); }
  std::string remembered() const { return database_place(state.path()); }

  recorded_log log;
  temp_dir state;
  temp_dir dir;
  std::string database = dir.path("phi.db");
  config settings;
};

} // namespace

TEST_CASE("database place: an empty one may begin, and is remembered by its whole path") {
  placed at;
  at.settings.resolved.sqlite_path = at.dir.path("x/../phi.db");
  CHECK(at.take() == "");
  CHECK(at.remembered() == at.database);
  CHECK(at.log.text().empty());
  CHECK(at.take() == ""); // it was to be there
  CHECK(at.log.contains("begins an empty database: the one of the last run is gone file="
                        + at.database));
  write_text(at.database, "rows");
  CHECK(at.take() == "");
  CHECK(at.log.count("begins an empty database") == 1);
}

TEST_CASE("database place: no empty one begins beside one that was set aside") {
  placed at;
  write_text(at.database + ".before-restore", "rows");
  write_text(at.database + ".before-restore-2", "rows");
  auto why = at.take();
  CHECK(why
        == "the database " + at.database + " is missing, but " + at.database
             + ".before-restore-2 lies beside it; put that in its place with: phictl restore "
             + at.database + ".before-restore-2, or move it away to begin an empty one");
  CHECK(at.remembered().empty());
  write_text(at.database, "rows"); // then it is only an old one
  CHECK(at.take() == "");
}

TEST_CASE("database place: no empty one begins beside a log that holds anything") {
  for (const std::string part : {"-wal", "-journal"}) {
    CAPTURE(part);
    placed at;
    write_text(at.database + part, "");
    CHECK(at.take() == "");
    write_text(at.database + part, "x");
    CHECK(at.take().find("is missing, but its log " + at.database + part + " is there")
          != std::string::npos);
    CHECK(text_in(at.database + part) == "x");
  }
}

TEST_CASE("database place: a restore under way is finished, a copy that nobody promised goes") {
  placed at;
  write_text(at.database, "old");
  write_text(restored_copy(at.database), "new");
  CHECK(at.take() == "");
  CHECK(text_in(at.database) == "old");
  CHECK_FALSE(fs::exists(restored_copy(at.database)));
  write_text(restored_copy(at.database), "new");
  auto aside = free_name_aside(at.database);
  REQUIRE(promise_restore(at.state.path(), {at.database, aside}).why() == "");
  CHECK(at.take() == "");
  CHECK(text_in(at.database) == "new");
  CHECK(text_in(aside) == "old");
  CHECK_FALSE(restore_under_way(at.state.path()));
  CHECK(at.log.contains("finishes a restore that was interrupted"));
  // One that cannot be finished is no start.
  write_text(restored_copy(at.database), "newer");
  REQUIRE(promise_restore(at.state.path(), {at.database, aside}).why() == "");
  CHECK(at.take().starts_with("a restore of " + at.database
                              + " was interrupted and cannot be finished: "));
  CHECK(text_in(at.database) == "new");
}

TEST_CASE("database place: on PostgreSQL no file matters") {
  placed at;
  at.settings.resolved.storage = storage_kind::postgres;
  write_text(at.database + "-wal", "x");
  CHECK(at.take() == "");
  CHECK(at.remembered() == postgres_place);
}
