// What is written durably is on disk, text and name, before anybody is told.

#include "protocol/durable_file.hpp"
#include "server/api/tokens.hpp"
#include "server/process/state_directory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/places.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

using namespace phi;
namespace fs = std::filesystem;

namespace {

std::vector<std::string>& flushed() {
  static std::vector<std::string> files;
  return files;
}

class directory {
public:
  directory() {
    char name[] = "/tmp/phi-durable-XXXXXX";
    path_ = ::mkdtemp(name);
    flushed().clear();
  }
  ~directory() { fs::remove_all(path_); }
  directory(const directory&) = delete;
  std::string path(const std::string& name = "") const {
    return name.empty() ? path_ : path_ + "/" + name;
  }
  /// What a file that was written durably must have flushed: it under its first name, then the
  /// directory.
  std::vector<std::string> flushes_of(const std::string& name) const {
    return {path(name + ".new"), path_};
  }

private:
  std::string path_;
};

std::string text_in(const std::string& file) {
  std::ifstream in{file};
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

/// In the place of the C library's, for this program: notes the file.
extern "C" int fsync(int fd) {
  std::error_code ignored;
  flushed().push_back(fs::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).string());
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
  api::token_book book{dir.path("tokens.json")};
  auto made = book.create("n", {api::scope::read}, std::nullopt);
  CHECK(made.why() == "");
  CHECK(flushed() == dir.flushes_of("tokens.json"));
  flushed().clear();
  CHECK(book.revoke(made->what.id).why() == "");
  CHECK(flushed() == dir.flushes_of("tokens.json"));
  CHECK(api::token_book{dir.path("tokens.json")}.all()->empty());
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
