// The last steps of a restore: nothing is lost, whatever is there already and wherever they end.

#include "protocol/restore_journal.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <filesystem>

using namespace phi;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

struct restoring {
  /// A database with a log, and a copy that is to take its place.
  restoring() {
    write_text(database, "old");
    write_text(database + "-wal", "old log");
    write_text(restored_copy(database), "new");
  }
  std::string finish() { return finish_restore(state.path(), plan).why(); }

  temp_dir state;
  temp_dir dir;
  std::string database = dir.path("phi.db");
  restore_plan plan{database, database + ".before-restore"};
};

} // namespace

TEST_CASE("restore journal: names aside are free in all their parts, the newest is found") {
  temp_dir dir;
  auto database = dir.path("phi.db");
  CHECK(free_name_aside(database) == database + ".before-restore");
  CHECK(set_aside_earlier(database).empty());
  write_text(database + ".before-restore-wal", ""); // its log alone
  CHECK(free_name_aside(database) == database + ".before-restore-2");
  CHECK(set_aside_earlier(database) == database + ".before-restore");
  fs::create_symlink("nowhere", database + ".before-restore-2"); // also what leads nowhere
  CHECK(free_name_aside(database) == database + ".before-restore-3");
  CHECK(set_aside_earlier(database) == database + ".before-restore-2");
}

TEST_CASE("restore journal: what was promised is read again, half a promise is none") {
  restoring at;
  CHECK_FALSE(restore_under_way(at.state.path()));
  REQUIRE(promise_restore(at.state.path(), at.plan).why() == "");
  auto read = restore_under_way(at.state.path());
  REQUIRE(read);
  CHECK(read->database == at.plan.database);
  CHECK(read->aside == at.plan.aside);
  for (const std::string text : {"", "phi-backend restore 1\n", "phi-backend restore 1\n/a\n",
                                 "phi-backend restore 2\n/a\n/b\n"}) {
    CAPTURE(text);
    write_text(at.state.path("restore.journal"), text);
    CHECK_FALSE(restore_under_way(at.state.path()));
  }
  CHECK(promise_restore(at.state.path(), {"/a\n/b", "/c"}).why()
        == "a path with a line break in it: /a\n/b");
}

TEST_CASE("restore journal: a promise that cannot be kept anywhere takes its copy along") {
  restoring at;
  write_text(restored_copy(at.database) + "-wal", "x");
  CHECK_FALSE(promise_restore(at.state.path("missing"), at.plan));
  CHECK_FALSE(fs::exists(restored_copy(at.database)));
  CHECK_FALSE(fs::exists(restored_copy(at.database) + "-wal"));
  CHECK(text_in(at.database) == "old");
}

TEST_CASE("restore journal: the copy takes its place, and what was there goes aside whole") {
  restoring at;
  REQUIRE(promise_restore(at.state.path(), at.plan).why() == "");
  CHECK(at.finish() == "");
  CHECK(text_in(at.database) == "new");
  CHECK_FALSE(fs::exists(at.database + "-wal")); // never a log of another file
  CHECK(text_in(at.plan.aside) == "old");
  CHECK(text_in(at.plan.aside + "-wal") == "old log");
  CHECK_FALSE(fs::exists(restored_copy(at.database)));
  CHECK_FALSE(restore_under_way(at.state.path()));
  CHECK(at.finish() == ""); // once more changes nothing
  CHECK(text_in(at.database) == "new");
  CHECK(text_in(at.plan.aside) == "old");
}

TEST_CASE("restore journal: whoever comes next goes on wherever it was left") {
  SUBCASE("only the file has been moved") {
    restoring at;
    fs::rename(at.database, at.plan.aside);
    CHECK(at.finish() == "");
    CHECK(text_in(at.database) == "new");
    CHECK(text_in(at.plan.aside) == "old");
    CHECK(text_in(at.plan.aside + "-wal") == "old log");
  }
  SUBCASE("there was no database") {
    restoring at;
    fs::remove(at.database);
    fs::remove(at.database + "-wal");
    CHECK(at.finish() == "");
    CHECK(text_in(at.database) == "new");
    CHECK_FALSE(fs::exists(at.plan.aside));
  }
  SUBCASE("the copy is gone: all goes back") {
    restoring at;
    fs::remove(restored_copy(at.database));
    fs::rename(at.database, at.plan.aside);
    fs::rename(at.database + "-wal", at.plan.aside + "-wal");
    CHECK(at.finish() == "");
    CHECK(text_in(at.database) == "old");
    CHECK(text_in(at.database + "-wal") == "old log");
    CHECK_FALSE(fs::exists(at.plan.aside));
  }
}

TEST_CASE("restore journal: nothing is moved onto something") {
  restoring at;
  REQUIRE(promise_restore(at.state.path(), at.plan).why() == "");
  write_text(at.plan.aside, "older");
  CHECK(at.finish() == "cannot move " + at.database + " to " + at.plan.aside + ": File exists");
  CHECK(text_in(at.database) == "old");
  CHECK(text_in(at.plan.aside) == "older");
  CHECK(text_in(restored_copy(at.database)) == "new");
  CHECK(restore_under_way(at.state.path())); // it is still owed
}

TEST_CASE("restore journal: a copy without a promise is removed with its parts, the database not") {
  restoring at;
  for (const auto* part : {"-wal", "-shm", "-journal"})
    write_text(restored_copy(at.database) + part, "x");
  remove_unfinished_copy(at.database);
  for (const auto* part : database_parts)
    CHECK_FALSE(fs::exists(restored_copy(at.database) + part));
  CHECK(text_in(at.database) == "old");
  CHECK(text_in(at.database + "-wal") == "old log");
}

TEST_CASE("restore journal: the place of the last start") {
  temp_dir state;
  CHECK(database_place(state.path()).empty());
  CHECK(keep_database_place(state.path(), "/a b/phi.db").why() == "");
  CHECK(database_place(state.path()) == "/a b/phi.db");
  CHECK(keep_database_place(state.path(), postgres_place).why() == "");
  CHECK(database_place(state.path()) == postgres_place);
  CHECK_FALSE(keep_database_place(state.path("missing"), "/a"));
}
