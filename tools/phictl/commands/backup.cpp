#include "protocol/admin.hpp"
#include "protocol/durable_file.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <unistd.h>

namespace phi::ctl {
namespace {

struct backup_options {
  std::string file; ///< the new one
};

/// A file that has no name before it is whole: nothing stays behind when phictl is killed.
class new_file {
public:
  explicit new_file(std::string name) : name_(std::move(name)) {
    auto above = std::filesystem::path{name_}.parent_path();
    fd_ = ::open(above.empty() ? "." : above.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd_ >= 0)
      return;
    part_ = name_ + ".part"; // a file system that cannot do this
    ::unlink(part_.c_str());
    fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0)
      fail();
  }
  ~new_file() {
    ::close(fd_);
    if (!part_.empty())
      ::unlink(part_.c_str());
  }
  new_file(const new_file&) = delete;

  uint64_t fill_from(int file) {
    std::vector<char> block(1 << 20);
    uint64_t bytes = 0;
    ::lseek(file, 0, SEEK_SET);
    for (ssize_t size = 0; (size = ::read(file, block.data(), block.size())) != 0;) {
      if (size < 0)
        throw failure{exit_status::failed,
                      std::string{"cannot read the copy: "} + std::strerror(errno)};
      if (auto done = write_all(fd_, {block.data(), static_cast<size_t>(size)}, name_); !done)
        throw failure{exit_status::failed, done.why()};
      bytes += static_cast<uint64_t>(size);
    }
    return bytes;
  }

  /// Never over a file that is there.
  void put_in_place() {
    auto self = part_.empty() ? "/proc/self/fd/" + std::to_string(fd_) : part_;
    if (::fsync(fd_) != 0
        || ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name_.c_str(),
                    part_.empty() ? AT_SYMLINK_FOLLOW : 0)
             != 0)
      fail();
    auto synced = sync_directory(std::filesystem::path{name_}.parent_path());
    if (synced)
      return;
    ::unlink(name_.c_str()); // a backup that failed is none: the next try finds the name free
    throw failure{exit_status::failed, synced.why()};
  }

private:
  [[noreturn]] void fail() const {
    throw failure{exit_status::failed, "cannot write " + name_ + ": " + std::strerror(errno)};
  }

  std::string name_;
  std::string part_;
  int fd_ = -1;
};

void backup(const command_context& context, const backup_options& options) {
  const auto& file = options.file;
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(file, ignored)))
    throw failure{exit_status::failed, file + " is there already; name another"};
  new_file copy{file}; // before the service takes the trouble
  admin_client client{context};
  auto made =
    client.call(admin_wire::method_backup, json::object(), context.timeout_or(no_time_limit));
  // The service hands over the open file: no path of its choosing is opened or removed here.
  int from = client.take_file();
  if (from < 0)
    throw failure{exit_status::failed, "the service has sent no copy; is it of another version?"};
  auto bytes = copy.fill_from(from);
  ::close(from);
  if (bytes != made.value("bytes", uint64_t{0}))
    throw failure{exit_status::failed, "the copy that the service has sent is not whole"};
  copy.put_in_place();
  if (context.json)
    print_json({{"file", file}, {"bytes", bytes}, {"events", made["events"]}});
  else
    print() << file << ": " << group_digits(made.value("events", uint64_t{0})) << " events, "
            << group_digits(bytes) << " bytes, checked\n";
}

} // namespace

void add_backup(CLI::App& app, command_context& context) {
  auto options = std::make_shared<backup_options>();
  auto* command =
    app.add_subcommand("backup", "Copy the database to a file while the service runs");
  command->add_option("FILE", options->file, "The new file")->required();
  command->footer("Example: phictl backup /var/backups/phi.db")->callback([&context, options] {
    backup(context, *options);
  });
}

} // namespace phi::ctl
