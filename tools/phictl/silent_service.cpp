#include "tools/phictl/silent_service.hpp"

#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/exit_file.hpp"
#include "tools/phictl/unit.hpp"

#include <exception>

namespace phi::ctl {
namespace {

json make_finding(const char* subject, finding_verdict verdict, finding_code code,
                  const std::string& text, const std::string& remedy) {
  json out{{"what", subject}, {"verdict", to_string(verdict)}};
  if (code != finding_code::none)
    out["code"] = to_string(code);
  out["text"] = text;
  out["remedy"] = remedy;
  return out;
}

json examine_service(const command_context& context, const std::string& why) {
  auto text = why;
  std::string remedy = "phictl start, or phi-backend where there is no unit";
  if (context.socket.empty() && unit_installed(context)) {
    text = context.unit + " is " + unit_property(context, "ActiveState") + "; " + why;
    remedy = "phictl start; if it does not become ready, phictl logs names the reason";
  }
  return make_finding("service", finding_verdict::bad, finding_code::not_running, text, remedy);
}

/// Of a report as `read_exit_report` gives it.
json examine_last_exit(const json& report) {
  auto text = report.value("exitText", "ended without a report");
  bool clean = !report.value("crashed", false)
               && report.value("exitCode", -1) == static_cast<int>(exit_code::clean);
  if (clean)
    return make_finding("last exit", finding_verdict::ok, finding_code::none, text, "");
  std::string remedy;
  for (const auto& advice : explain_exit(report))
    remedy += (remedy.empty() ? "" : "; ") + advice;
  return make_finding("last exit", finding_verdict::warning, finding_code::last_exit_failed, text,
                      remedy);
}

} // namespace

json examine_silent_service(const command_context& context, const std::string& why) {
  auto findings = json::array({examine_service(context, why)});
  try {
    findings.push_back(examine_last_exit(read_exit_report(silent_state_directory(context))));
  } catch (const std::exception&) {
    // It never ran here, or its directory is not for us: there is nothing to say of it.
  }
  return findings;
}

} // namespace phi::ctl
