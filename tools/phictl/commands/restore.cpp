#include "protocol/durable_file.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/restore_journal.hpp"
#include "protocol/state_files.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/exit_file.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/unit.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <grp.h>
#include <memory>
#include <optional>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace phi::ctl {
namespace {

namespace fs = std::filesystem;

/// Where to; empty: the usual place.
struct restore_options {
  std::string file; ///< the backup
  std::string state_directory;
  std::string database; ///< instead of the one that the service had at its last start
  std::string config;   ///< names the database where the service never ran
};

[[noreturn]] void fail(const std::string& attempt) {
  throw failure{exit_status::failed, attempt};
}

void fail_unless(const outcome& done) {
  if (!done)
    fail(done.why());
}

class opened_file {
public:
  explicit opened_file(int fd) : fd_(fd) {}
  ~opened_file() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  opened_file(opened_file&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  opened_file& operator=(opened_file&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int release() { return std::exchange(fd_, -1); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_;
};

// -- what is restored ---------------------------------------------------------------------------

/// A file of the backup, open: what it is called may change meanwhile, what it is may not. Or why
/// it is not, as errno.
struct source_part {
  const char* part;
  opened_file file;
  int error = 0;
};

/// The parts of the backup by their names, with `open`, which opens one for reading.
template <class Open>
std::vector<source_part> open_parts(Open open) {
  std::vector<source_part> out;
  for (const auto* part : database_parts)
    if (std::string_view{part} != "-shm") { // made again from the log
      opened_file file{open(part)};
      out.push_back({part, std::move(file), errno});
    }
  return out;
}

constexpr int to_read = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;

/// Root, or who has become it by sudo.
bool is_trusted(uid_t owner) {
  const char* caller = std::getenv("SUDO_UID");
  return owner == 0 || (caller && std::to_string(owner) == caller);
}

/// The directory of a file by a way without links; none when somebody else owns it.
opened_file trusted_directory(const std::string& file) {
  opened_file at{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  auto above = fs::absolute(file).lexically_normal().parent_path();
  for (const auto& name : above.relative_path()) {
    opened_file next{
      ::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    std::swap(at, next);
  }
  struct stat about {};
  return at && ::fstat(at.get(), &about) == 0 && is_trusted(about.st_uid) ? std::move(at)
                                                                          : opened_file{-1};
}

/// What only root may read of a backup. Whoever may not read it must not get it by us: no link is
/// followed, and the file and its directory are root's or the caller's. Nothing when we are not
/// root.
std::vector<source_part> open_as_root(const std::string& file) {
  if (::geteuid() != 0)
    return {};
  auto directory = trusted_directory(file);
  auto name = fs::path{file}.filename().string();
  return open_parts([&](const char* part) {
    opened_file in{::openat(directory.get(), (name + part).c_str(), to_read)};
    struct stat about {};
    if (in && ::fstat(in.get(), &about) == 0 && is_trusted(about.st_uid))
      return in.release();
    errno = in ? EACCES : errno;
    return -1;
  });
}

/// The backup with what SQLite may have left beside it: a copy of a running database is only whole
/// with its log. Read as who we are by now; from `as_root` comes what is not for us.
std::vector<source_part> open_source(const std::string& file, std::vector<source_part> as_root) {
  auto parts = open_parts(
    [&](const char* part) { return ::open((file + part).c_str(), to_read & ~O_NOFOLLOW); });
  std::vector<source_part> out;
  uid_t owner = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    auto& [part, in, error] = parts[i];
    bool may_not = !in && error == EACCES && !as_root.empty();
    if (may_not)
      std::swap(parts[i], as_root[i]);
    if (!in && *part && error == ENOENT)
      continue;
    struct stat about {};
    if (!in || ::fstat(in.get(), &about) != 0)
      fail("cannot read " + file + part + ": " + std::strerror(may_not ? EACCES : error)
           + (may_not ? "; what the owner of the state directory may not read is taken only from"
                        " root or the caller, who own its directory as well, and through no link"
                      : ""));
    if (!S_ISREG(about.st_mode))
      fail(file + part + " is not a file");
    if (out.empty())
      owner = about.st_uid;
    if (about.st_uid != owner) // else anybody who may write beside it says what is restored
      fail(file + part + " belongs to another user than " + file
           + ": it may not be its log. Remove it, or give it to the same owner");
    out.push_back(std::move(parts[i]));
  }
  return out;
}

void copy_into(int to, int from, const std::string& name) {
  std::vector<char> block(1 << 20);
  for (;;) {
    auto size = ::read(from, block.data(), block.size());
    if (size < 0)
      fail("cannot read the backup: " + std::string{std::strerror(errno)});
    if (size == 0)
      break;
    fail_unless(write_all(to, {block.data(), static_cast<size_t>(size)}, name));
    fault_point("restore.copying");
  }
  if (::fsync(to) != 0)
    fail("cannot bring " + name + " to disk: " + std::strerror(errno));
}

void copy_beside(const std::vector<source_part>& source, const std::string& copy) {
  for (const auto& [part, in, error] : source) {
    opened_file out{
      ::open((copy + part).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!out)
      fail("cannot write " + copy + part + ": " + std::strerror(errno));
    copy_into(out.get(), in.get(), copy + part);
  }
}

// -- where it goes ------------------------------------------------------------------------------

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

/// What is done in a directory of the service is done as its owner. Root follows no link that
/// somebody else laid there, and leaves nothing behind that the service cannot open.
void become_owner_of(const std::string& directory) {
  struct stat about {};
  if (::stat(directory.c_str(), &about) != 0 || !S_ISDIR(about.st_mode))
    fail("there is no state directory " + directory + "; name it with --state-dir");
  if (::geteuid() != 0 || about.st_uid == 0)
    return;
  if (::setgroups(1, &about.st_gid) != 0
      || ::setresgid(about.st_gid, about.st_gid, about.st_gid) != 0
      || ::setresuid(about.st_uid, about.st_uid, about.st_uid) != 0)
    fail("cannot become the owner of " + directory + ": " + std::strerror(errno));
}

/// The lock that a running service holds; ours for as long as it lives.
class state_lock {
public:
  explicit state_lock(const std::string& directory)
    : file_(::open(state_files::path(directory, state_files::lock).c_str(),
                   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (!file_)
      fail("cannot write to " + directory + ": " + std::strerror(errno)
           + "; run phictl as root or as the service's user");
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
      fail("the service runs in " + directory + "; stop it first: phictl stop --wait");
  }

private:
  opened_file file_;
};

/// `key = "VALUE"  # origin` of --print-config.
std::string setting_in(const std::string& settings, const std::string& key) {
  std::istringstream in{settings};
  auto begin = key + " = \"";
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(begin))
      return line.substr(begin.size(), line.find('"', begin.size()) - begin.size());
  return {};
}

constexpr auto usual_config = "/etc/phi-backend/config.toml";

/// The database that the configuration names; empty: none. For a service that never ran here.
std::string database_in(const std::string& config, const std::string& program) {
  if (config.empty())
    return {};
  auto [status, settings] = capture({program, "--config", config, "--print-config"}, true);
  if (status != 0 && config != usual_config) // that one may need secrets which only the unit has
    fail("the configuration says which database it is, and cannot be read: " + settings
         + "; name the database with --database");
  if (setting_in(settings, "stats.storage") == "postgres")
    return postgres_place;
  return setting_in(settings, "stats.sqlite_path");
}

/// Where the service of this directory keeps its events: as asked for, else where it did at its
/// last start, else as configured.
std::string find_database(const restore_options& options, const std::string& directory,
                          const std::string& configured) {
  auto place = !options.database.empty() ? options.database : database_place(directory);
  if (place.empty())
    place = configured;
  if (place == postgres_place)
    fail("the service of " + directory
         + " keeps its events in PostgreSQL: restore them with pg_restore");
  return fs::absolute(place.empty() ? directory + "/phi.db" : place).lexically_normal().string();
}

/// The copy is a sound database of this program or an older one, in one file. Returns what is in
/// it.
std::string check_copy(const std::string& program, const std::string& copy,
                       const std::string& file) {
  auto checked = capture({program, "--check-database", copy, "--settle"}, true);
  if (checked.status == 0)
    return checked.out;
  remove_unfinished_copy(copy.substr(0, copy.size() - std::strlen(".restoring")));
  auto why = checked.out;
  if (auto at = why.find(copy + ": "); at != why.npos)
    why.erase(0, at + copy.size() + 2);
  fail(file + " is not a database that can be restored; nothing was changed: " + why);
}

/// One that was killed on its way is finished first: it was promised.
void finish_earlier(const std::string& directory) {
  auto earlier = restore_under_way(directory);
  if (!earlier)
    return;
  fail_unless(finish_restore(directory, *earlier));
  warn() << "finished an earlier restore of " << earlier->database << " that was interrupted\n";
}

void restore(const command_context& context, const restore_options& options) {
  const auto& file = options.file;
  auto named = options.state_directory;
  if (named.empty()) {
    if (auto running = running_state_directory(context))
      fail("the service runs in " + *running + "; stop it first: phictl stop --wait");
    named = silent_state_directory(context);
  }
  auto directory = fs::absolute(named).string();
  bool usual = directory == "/var/lib/phi-backend";
  auto program = service_program();
  auto config = options.config;
  if (std::error_code ignored; config.empty() && usual && fs::exists(usual_config, ignored))
    config = usual_config;
  auto configured = database_in(config, program);
  auto as_root = open_as_root(file);
  become_owner_of(directory);
  auto source = open_source(file, std::move(as_root));
  state_lock lock{directory};
  finish_earlier(directory);
  restore_plan plan{.database = find_database(options, directory, configured)};
  plan.aside = free_name_aside(plan.database);
  auto copy = restored_copy(plan.database);
  remove_unfinished_copy(plan.database);
  try {
    copy_beside(source, copy);
  } catch (const failure&) {
    remove_unfinished_copy(plan.database);
    throw;
  }
  fault_point("restore.copied");
  auto found = check_copy(program, copy, file);
  fail_unless(sync_directory(fs::path{plan.database}.parent_path()));
  fault_point("restore.checked");
  fail_unless(promise_restore(directory, plan));
  fault_point("restore.promised");
  fail_unless(finish_restore(directory, plan));
  auto aside = set_aside_earlier(plan.database) == plan.aside ? plan.aside : std::string{};
  if (context.json)
    print_json({{"database", plan.database}, {"before", aside}});
  else
    print() << plan.database << " is " << file << " now (" << found << ")"
            << ". Start the service with: phictl start\n";
  if (!context.json && !aside.empty())
    print() << "What was there is set aside; to have it back, stop the service and: phictl restore "
            << aside << "\n";
}

} // namespace

void add_restore(CLI::App& app, command_context& context) {
  auto options = std::make_shared<restore_options>();
  auto* command = app.add_subcommand(
    "restore", "Put a backup in the place of the database, while the service is stopped");
  command->add_option("FILE", options->file, "The backup")->required()->check(CLI::ExistingFile);
  command->add_option("--state-dir", options->state_directory, "The service's state directory")
    ->type_name("DIR");
  command
    ->add_option("--database", options->database,
                 "The file to replace. Default: the one that the service had at its last start")
    ->type_name("FILE");
  command
    ->add_option("--config", options->config,
                 "The service's configuration, to find the file before its first start")
    ->type_name("FILE");
  command->footer("Example: phictl restore /var/backups/phi.db")->callback([&context, options] {
    restore(context, *options);
  });
}

} // namespace phi::ctl
