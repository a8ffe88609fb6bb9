#include "protocol/admin.hpp"
#include "protocol/names.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/silent_service.hpp"
#include "tools/phictl/tables.hpp"

#include <CLI/CLI.hpp>

namespace phi::ctl {
namespace {

void print_findings(const json& findings) {
  table rows{{"VERDICT", "WHAT", "FOUND"}};
  for (const auto& found : findings) {
    auto verdict = found.value("verdict", "?");
    auto tint = verdict == to_string(finding_verdict::ok)    ? colour::green
                : verdict == to_string(finding_verdict::bad) ? colour::red
                                                             : colour::yellow;
    rows.push_back({paint(tint, verdict), found.value("what", ""), found.value("text", "")});
    if (auto remedy = found.value("remedy", ""); !remedy.empty())
      rows.push_back({"", "", "remedy: " + remedy});
  }
  print_table(rows);
}

/// What the service's doctor finds; where no service answers, what can be found all the same.
void doctor(const command_context& context) {
  auto ends = exit_status::done;
  json findings;
  try {
    findings = ask(context, admin_wire::method_doctor)["examined"];
    for (const auto& found : findings)
      if (found.value("verdict", "") == to_string(finding_verdict::bad))
        ends = exit_status::failed;
  } catch (const failure& gone) {
    if (gone.status() != exit_status::not_running)
      throw;
    findings = examine_silent_service(context, gone.what());
    ends = gone.status();
  }
  if (context.json)
    print_json(findings, 2);
  else
    print_findings(findings);
  if (ends != exit_status::done)
    throw failure{ends, ""};
}

} // namespace

void add_doctor(CLI::App& app, command_context& context) {
  app.add_subcommand("doctor", "Examine budgets, permissions, disk, database, clock, file limits")
    ->footer("Example: phictl doctor")
    ->callback([&context] { doctor(context); });
}

} // namespace phi::ctl
