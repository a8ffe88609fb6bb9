// What is written durably is on disk, text and name, before anybody is told.

#include "protocol/durable_file.hpp"
#include "protocol/restore_journal.hpp"
#include "server/api/tokens.hpp"
#include "server/process/state_directory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

using namespace phi;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

std::vector<std::string>& flushed() {
  static std::vector<std::string> files;
  return files;
}

/// The flush of this directory fails, as on a disk that is about to die; empty: none.
std::string& failing_directory() {
  static std::string path;
  return path;
}

class directory : public temp_dir {
public:
  directory() { flushed().clear(); }
  ~directory() { failing_directory().clear(); }
  void fails() const { failing_directory() = path(); }
  /// What is said then.
  std::string trouble() const { return "cannot bring " + path() + " to disk: Input/output error"; }
  /// What a file that was written durably must have flushed: it under its first name, then the
  /// directory.
  std::vector<std::string> flushes_of(const std::string& name) const {
    return {path(name + ".new"), path()};
  }
};

} // namespace

/// In the place of the C library's, for this program: notes the file.
extern "C" int fsync(int fd) {
  std::error_code ignored;
  flushed().push_back(fs::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).string());
  if (failing_directory() == flushed().back()) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

TEST_CASE("a durable file: flushed before it has its name, then the name; for its owner only") {
  directory dir;
  CHECK(write_durably(dir.path("a"), "one\n").why() == "");
  CHECK(flushed() == dir.flushes_of("a"));
  CHECK(write_durably(dir.path("a"), "two\n").why() == "");
  CHECK(text_in(dir.path("a")) == "two\n");
  struct stat about {};
  CHECK(::stat(dir.path("a").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  CHECK_FALSE(fs::exists(dir.path("a.new")));
}

TEST_CASE("a durable file that cannot be written: said, the old one stays, no link is followed") {
  directory dir;
  CHECK(write_durably(dir.path("nowhere/a"), "x").why()
        == "cannot write " + dir.path("nowhere/a") + ": No such file or directory");
  fs::create_directories(dir.path("a/b")); // nothing can have this name
  CHECK(write_durably(dir.path("a"), "x").why()
        == "cannot write " + dir.path("a") + ": Is a directory");
  CHECK_FALSE(fs::exists(dir.path("a.new")));
  std::ofstream{dir.path("victim")} << "precious";
  fs::create_symlink(dir.path("victim"), dir.path("c.new"));
  CHECK(write_durably(dir.path("c"), "x").why() == "");
  CHECK(text_in(dir.path("victim")) == "precious");
}

TEST_CASE("tokens are on disk before anybody has them, and off it before one is worthless") {
  directory dir;
  api::token_store book{dir.path("tokens.json")};
  auto made = book.create("n", {scope::read}, std::nullopt);
  CHECK(made.why() == "");
  CHECK(flushed() == dir.flushes_of("tokens.json"));
  flushed().clear();
  CHECK(book.revoke(made->kept.id).why() == "");
  CHECK(flushed() == dir.flushes_of("tokens.json"));
  CHECK(api::token_store{dir.path("tokens.json")}.all()->empty());
}

TEST_CASE("the state directory: the salt and the mark of a run are on disk") {
  directory dir;
  state_directory state{dir.path()};
  CHECK(state.own_salt().why() == "");
  CHECK(flushed() == dir.flushes_of("user_hash_salt"));
  flushed().clear();
  CHECK(state.begin_run().why() == "");
  CHECK(flushed() == dir.flushes_of("running.json"));
}

TEST_CASE("a name that does not come to disk: what was there before is there again, or what is "
          "better than nothing stays") {
  directory dir;
  auto file = dir.path("a");
  SUBCASE("there was nothing") {
    dir.fails();
    CHECK(write_durably(file, "new").why() == dir.trouble());
    CHECK_FALSE(fs::exists(file));
  }
  SUBCASE("there was something") {
    CHECK(write_durably(file, "old").why() == "");
    dir.fails();
    CHECK(write_durably(file, "new").why() == dir.trouble());
    CHECK(text_in(file) == "old");
  }
  SUBCASE("kept all the same") {
    CHECK(write_durably(file, "old").why() == "");
    dir.fails();
    CHECK(write_durably(file, "new", when_unsure::keep).why() == dir.trouble());
    CHECK(text_in(file) == "new");
  }
  CHECK_FALSE(fs::exists(file + ".new"));
}

TEST_CASE("a restore whose promise does not come to disk is none: nothing is there to finish") {
  directory dir;
  directory state;
  restore_plan plan{.database = dir.path("phi.db"), .aside = dir.path("phi.db.before-restore")};
  std::ofstream{plan.database} << "old";
  std::ofstream{restored_copy(plan.database)} << "new";
  state.fails();
  CHECK(promise_restore(state.path(), plan).why() == state.trouble());
  CHECK_FALSE(restore_under_way(state.path()).has_value());
  CHECK_FALSE(fs::exists(restored_copy(plan.database)));
  // Should it come back after all, it changes nothing.
  failing_directory().clear();
  CHECK(promise_restore(state.path(), plan).why() == "");
  CHECK(finish_restore(state.path(), plan).why() == "");
  CHECK(text_in(plan.database) == "old");
  CHECK_FALSE(fs::exists(plan.aside));
}

TEST_CASE("a token that does not come to disk is nobody's, also at the next start; one that does "
          "not leave it stays good") {
  directory dir;
  auto file = dir.path("tokens.json");
  api::token_store book{file};
  SUBCASE("the first") {
    dir.fails();
    CHECK(book.create("n", {scope::read}, std::nullopt).why() == dir.trouble());
    CHECK_FALSE(book.needed());
    CHECK_FALSE(api::token_store{file}.needed()); // nobody is shut out for it
  }
  SUBCASE("one more, and one less") {
    auto made = book.create("n", {scope::read}, std::nullopt);
    dir.fails();
    CHECK(book.create("m", {scope::read}, std::nullopt).why() == dir.trouble());
    CHECK(book.revoke(made->kept.id).why() == dir.trouble());
    REQUIRE(book.all()->size() == 1);
    auto next = api::token_store{file}.all();
    REQUIRE(next->size() == 1);
    CHECK(next->front().id == made->kept.id);
  }
}

TEST_CASE("the state directory on a disk that fails: no salt that may go with the power, but the "
          "mark of a run") {
  directory dir;
  {
    state_directory state{dir.path()};
    dir.fails();
    CHECK(state.own_salt().why() == dir.trouble());
    CHECK_FALSE(fs::exists(dir.path("user_hash_salt")));
    CHECK(state.begin_run().why() == dir.trouble());
    CHECK(fs::exists(dir.path("running.json")));
  }
  state_directory next{dir.path()};
  CHECK(next.crash_notice().find("ended without a report") != std::string::npos);
}
