#include "tools/phictl/restore_command.hpp"

#include "tools/phictl/exit_file.hpp"
#include "tools/phictl/unit.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace phi::ctl {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what) {
  throw failure{outcome::failed, what};
}

/// The lock that a running service holds; ours for as long as it lives.
class state_lock {
public:
  explicit state_lock(const std::string& directory)
    : fd_(::open((directory + "/phi.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ < 0)
      fail("cannot write to " + directory + ": " + std::strerror(errno)
           + "; run phictl as root or as the service's user");
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0)
      fail("the service runs in " + directory + "; stop it first: phictl stop --wait");
  }
  ~state_lock() { ::close(fd_); }
  state_lock(const state_lock&) = delete;

private:
  int fd_;
};

/// phi-backend beside this program, else on the PATH.
std::string service_program() {
  std::error_code ignored;
  auto own = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const auto& place :
       {own / "phi-backend", own.parent_path().parent_path() / "server/phi-backend"})
    if (fs::exists(place, ignored))
      return place.string();
  return "phi-backend";
}

/// The file in its place, whole and on disk, with the owner of the directory.
void put(const std::string& from, const std::string& to, const std::string& directory) {
  auto part = to + ".restoring";
  std::error_code error;
  fs::copy_file(from, part, fs::copy_options::overwrite_existing, error);
  if (error)
    fail("cannot copy " + from + " to " + part + ": " + error.message());
  struct stat owner {};
  int fd = ::open(part.c_str(), O_RDWR | O_CLOEXEC);
  bool done = fd >= 0 && ::stat(directory.c_str(), &owner) == 0
              && ::fchown(fd, owner.st_uid, owner.st_gid) == 0 && ::fchmod(fd, 0600) == 0
              && ::fsync(fd) == 0;
  if (fd >= 0)
    ::close(fd);
  if (!done)
    fail("cannot finish " + part + ": " + std::strerror(errno));
  fs::rename(part, to, error);
  if (error)
    fail("cannot put " + part + " in its place: " + error.message());
}

/// What is there now is set aside, never deleted. Returns its new name, or an empty text.
std::string set_aside(const std::string& database) {
  std::error_code error;
  if (!fs::exists(database, error))
    return {};
  auto aside = database + ".before-restore";
  for (int i = 2; fs::exists(aside, error); ++i)
    aside = database + ".before-restore-" + std::to_string(i);
  for (auto part : {"", "-wal", "-shm"})
    if (fs::exists(database + part, error)) {
      fs::rename(database + part, aside + part, error);
      if (error)
        fail("cannot set " + database + part + " aside: " + error.message());
    }
  return aside;
}

} // namespace

void restore(const context& with, const std::string& file, const std::string& state_directory) {
  std::error_code ignored;
  auto directory = !state_directory.empty()                      ? state_directory
                   : fs::exists("/var/lib/phi-backend", ignored) ? "/var/lib/phi-backend"
                                                                 : "data";
  if (!fs::is_directory(directory, ignored))
    fail("there is no state directory " + directory + "; name it with --state-dir");
  state_lock lock{directory};
  auto checked = capture({service_program(), "--check-database", file});
  if (checked.status != 0)
    fail(file + " is not a sound database of phi-backend; nothing was changed");
  auto database = directory + "/phi.db";
  auto aside = set_aside(database);
  put(file, database, directory);
  if (with.json)
    std::cout << nlohmann::ordered_json{{"database", database}, {"before", aside}}.dump() << "\n";
  else
    std::cout << database << " is " << file << " now (" << checked.out << ")"
              << (aside.empty() ? "" : "; what was there is " + aside)
              << ". Start the service with: phictl start\n";
}

} // namespace phi::ctl
