#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

void verify(const command_context& context) {
  admin_client client{context};
  auto answer =
    client.call(admin_wire::method_verify, json::object(), context.timeout_or(no_time_limit));
  auto status = client.call(admin_wire::method_status, json::object(), context.timeout_or(5s));
  bool balanced = status["ledger"].value("balanced", false);
  bool ok = answer.value("ok", false) && balanced;
  if (context.json) {
    answer["ledger"] = status["ledger"];
    answer["ok"] = ok;
    print_json(answer, 2);
  } else {
    table rows{{"WHAT", "IN ROWS", "IN COUNTS", ""}};
    for (const auto& check : answer["checks"]) {
      bool same = check.value("ok", false);
      std::string verdict = same ? "same" : "DIFFERENT";
      for (const auto& day : check.value("days", json::array()))
        verdict += " " + day.get<std::string>();
      rows.push_back({check.value("what", "?"), group_digits(check.value("rows", uint64_t{0})),
                      group_digits(check.value("rollups", uint64_t{0})),
                      paint(same ? colour::green : colour::red, verdict)});
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

void add_verify(CLI::App& app, command_context& context) {
  app.add_subcommand("verify", "Hold the counts against the rows, and the ledger")
    ->footer("Example: phictl verify")
    ->callback([&context] { verify(context); });
}

} // namespace phi::ctl
