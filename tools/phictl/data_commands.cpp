#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/restore_command.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <iostream>
#include <memory>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

// -- tail ---------------------------------------------------------------------------------------

void print_event(const context& with, const json& event) {
  if (with.json) {
    std::cout << event.dump() << "\n";
    return;
  }
  std::cout << paint(colour::grey, event.value("time", "")) << " ";
  for (auto name : {"feature", "action", "method", "route", "instance"})
    if (event.contains(name))
      std::cout << " " << event[name].get<std::string>();
  if (event.contains("status")) {
    auto status = event["status"].get<int>();
    std::cout << " " << paint(status >= 400 ? colour::red : colour::none, std::to_string(status));
  }
  if (event.contains("durationMs"))
    std::cout << " " << event["durationMs"].dump() << " ms";
  std::cout << "\n";
}

/// A number that is still missing after this long was rolled back: a commit takes no longer, with
/// stats.busy_timeout_ms as it is by default.
constexpr auto gap_patience = 10s;

void tail(const context& with, const std::string& feature, int lines, bool follow) {
  admin_client client{with};
  json params{{"limit", lines}};
  if (!feature.empty())
    params["feature"] = feature;
  auto went_on = steady::now();
  for (;;) {
    auto answer = client.call(admin_wire::method_events, params, with.timeout_or(10s));
    for (const auto& event : answer["events"])
      print_event(with, event);
    std::cout << std::flush;
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

void backup(const context& with, const std::string& file) {
  if (std::filesystem::exists(file))
    throw failure{outcome::failed, file + " is there already; name another"};
  auto made = ask(with, admin_wire::method_backup, json::object(), 1h);
  // The service may write in its state directory only: fetch it there.
  auto copy = made.value("file", "");
  std::error_code error;
  std::filesystem::copy_file(copy, file, error);
  bool whole =
    !error && std::filesystem::file_size(file, error) == made.value("bytes", uintmax_t{0});
  std::error_code ignored;
  std::filesystem::remove(copy, ignored);
  if (!whole) {
    std::filesystem::remove(file, ignored);
    throw failure{outcome::failed, "cannot copy " + copy + " to " + file + ": " + error.message()};
  }
  std::filesystem::permissions(
    file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
  if (with.json)
    std::cout << json{{"file", file}, {"bytes", made["bytes"]}, {"events", made["events"]}}.dump()
              << "\n";
  else
    std::cout << file << ": " << group_digits(made.value("events", uint64_t{0})) << " events, "
              << group_digits(made.value("bytes", uint64_t{0})) << " bytes, checked\n";
}

void verify(const context& with) {
  admin_client client{with};
  auto answer = client.call(admin_wire::method_verify, json::object(), with.timeout_or(1h));
  auto status = client.call(admin_wire::method_status, json::object(), with.timeout_or(5s));
  bool balanced = status["ledger"].value("balanced", false);
  bool ok = answer.value("ok", false) && balanced;
  if (with.json) {
    answer["ledger"] = status["ledger"];
    answer["ok"] = ok;
    std::cout << answer.dump(2) << "\n";
  } else {
    std::vector<std::vector<std::string>> rows{{"WHAT", "IN ROWS", "IN ROLL-UPS", ""}};
    for (const auto& one : answer["checks"]) {
      bool same = one.value("ok", false);
      rows.push_back({one.value("what", "?"), group_digits(one.value("rows", uint64_t{0})),
                      group_digits(one.value("rollups", uint64_t{0})),
                      paint(same ? colour::green : colour::red, same ? "same" : "DIFFERENT")});
    }
    rows.push_back(
      {"ledger", group_digits(status["ledger"].value("received", uint64_t{0})), "",
       paint(balanced ? colour::green : colour::red, balanced ? "balanced" : "NOT BALANCED")});
    print_table(rows);
  }
  if (!ok)
    throw failure{outcome::failed, ""};
}

} // namespace

void add_data_commands(CLI::App& app, context& with) {
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
    ->callback([&with, feature, lines, follow] { tail(with, *feature, *lines, *follow); });
  auto to = std::make_shared<std::string>();
  auto* copying =
    app.add_subcommand("backup", "Copy the database to a file while the service runs");
  copying->add_option("FILE", *to, "The new file")->required();
  copying->footer("Example: phictl backup /var/backups/phi.db")->callback([&with, to] {
    backup(with, *to);
  });
  auto from = std::make_shared<std::string>();
  auto where = std::make_shared<std::string>();
  auto* restoring = app.add_subcommand(
    "restore", "Put a backup in the place of the database, while the service is stopped");
  restoring->add_option("FILE", *from, "The backup")->required()->check(CLI::ExistingFile);
  restoring->add_option("--state-dir", *where, "The service's state directory")->type_name("DIR");
  restoring->footer("Example: phictl restore /var/backups/phi.db")->callback([&with, from, where] {
    restore(with, *from, *where);
  });
  app.add_subcommand("verify", "Hold the roll-ups against the rows, and the ledger")
    ->footer("Example: phictl verify")
    ->callback([&with] { verify(with); });
}

} // namespace phi::ctl
