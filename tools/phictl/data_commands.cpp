#include "protocol/admin.hpp"
#include "protocol/durable_file.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/restore_command.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <unistd.h>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// -- tail ---------------------------------------------------------------------------------------

void print_event(const command_context& context, const json& event) {
  if (context.json) {
    print_json(event);
    return;
  }
  print() << paint(colour::grey, event.value("time", "")) << " ";
  for (auto name : {"feature", "action", "method", "route", "instance"})
    if (event.contains(name))
      print() << " " << event[name].get<std::string>();
  if (event.contains("status")) {
    auto status = event["status"].get<int>();
    print() << " " << paint(status >= 400 ? colour::red : colour::none, std::to_string(status));
  }
  if (event.contains("durationMs"))
    print() << " " << show_json(event["durationMs"]) << " ms";
  print() << "\n";
}

/// A number that is still missing after this long was rolled back: a commit takes no longer, with
/// stats.busy_timeout_ms as it is by default.
constexpr auto gap_patience = 10s;

void tail(const command_context& context, const std::string& feature, int lines, bool follow) {
  admin_client client{context};
  json params{{"limit", lines}};
  if (!feature.empty())
    params["feature"] = feature;
  auto went_on = steady::now();
  for (;;) {
    auto answer = client.query(admin_wire::method_events, params, context.timeout_or(10s));
    for (const auto& event : answer["events"])
      print_event(context, event);
    print().flush();
    if (!follow)
      return;
    if (!answer.value("held", false) || params.value("after", int64_t{-1}) != answer["last"])
      went_on = steady::now();
    params["overGaps"] = steady::now() - went_on > gap_patience;
    params["after"] = answer["last"];
    params["limit"] = 1000;
    if (answer["events"].size() < 1000)
      client.wait_for_end(steady::now() + 250ms);
  }
}

// -- care ---------------------------------------------------------------------------------------

/// A copy is as long as it is: --timeout says otherwise.
constexpr auto no_limit = 480h;

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

void backup(const command_context& context, const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(file, ignored)))
    throw failure{exit_status::failed, file + " is there already; name another"};
  new_file copy{file}; // before the service takes the trouble
  admin_client client{context};
  auto made = client.call(admin_wire::method_backup, json::object(), context.timeout_or(no_limit));
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

void verify(const command_context& context) {
  admin_client client{context};
  auto answer =
    client.call(admin_wire::method_verify, json::object(), context.timeout_or(no_limit));
  auto status = client.call(admin_wire::method_status, json::object(), context.timeout_or(5s));
  bool balanced = status["ledger"].value("balanced", false);
  bool ok = answer.value("ok", false) && balanced;
  if (context.json) {
    answer["ledger"] = status["ledger"];
    answer["ok"] = ok;
    print_json(answer, 2);
  } else {
    table rows{{"WHAT", "IN ROWS", "IN ROLL-UPS", ""}};
    for (const auto& check : answer["checks"]) {
      bool same = check.value("ok", false);
      rows.push_back({check.value("what", "?"), group_digits(check.value("rows", uint64_t{0})),
                      group_digits(check.value("rollups", uint64_t{0})),
                      paint(same ? colour::green : colour::red, same ? "same" : "DIFFERENT")});
    }
    rows.push_back(
      {"ledger", group_digits(status["ledger"].value("received", uint64_t{0})), "",
       paint(balanced ? colour::green : colour::red, balanced ? "balanced" : "NOT BALANCED")});
    print_table(rows);
  }
  if (!ok)
    throw failure{exit_status::failed, ""};
}

} // namespace

void add_data_commands(CLI::App& app, command_context& context) {
  auto feature = std::make_shared<std::string>();
  auto lines = std::make_shared<int>(20);
  auto follow = std::make_shared<bool>(false);
  auto* tailing = app.add_subcommand("tail", "Show the last events");
  tailing->add_option("--feature", *feature, "Only this feature");
  tailing->add_option("-n,--lines", *lines, "How many")
    ->check(CLI::Range(1, 1000))
    ->capture_default_str();
  tailing->add_flag("-f,--follow", *follow, "Go on showing new ones");
  tailing->footer("Example: phictl tail -f --feature login")
    ->callback([&context, feature, lines, follow] { tail(context, *feature, *lines, *follow); });
  auto to = std::make_shared<std::string>();
  auto* copying =
    app.add_subcommand("backup", "Copy the database to a file while the service runs");
  copying->add_option("FILE", *to, "The new file")->required();
  copying->footer("Example: phictl backup /var/backups/phi.db")->callback([&context, to] {
    backup(context, *to);
  });
  auto from = std::make_shared<std::string>();
  auto where = std::make_shared<restore_words>();
  auto* restoring = app.add_subcommand(
    "restore", "Put a backup in the place of the database, while the service is stopped");
  restoring->add_option("FILE", *from, "The backup")->required()->check(CLI::ExistingFile);
  restoring->add_option("--state-dir", where->state_directory, "The service's state directory")
    ->type_name("DIR");
  restoring
    ->add_option("--database", where->database,
                 "The file to replace. Default: the one that the service had at its last start")
    ->type_name("FILE");
  restoring
    ->add_option("--config", where->config,
                 "The service's configuration, to find the file before its first start")
    ->type_name("FILE");
  restoring->footer("Example: phictl restore /var/backups/phi.db")
    ->callback([&context, from, where] { restore(context, *from, *where); });
  app.add_subcommand("verify", "Hold the roll-ups against the rows, and the ledger")
    ->footer("Example: phictl verify")
    ->callback([&context] { verify(context); });
}

} // namespace phi::ctl
