// What our unit lets us do, examined without a systemd.

#include "server/systemd/budget_doctor.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::systemd;
using namespace std::chrono_literals;

namespace {

std::string findings(const config& settings, const unit_limits& limits) {
  std::string out;
  for (const auto& finding : examine_budgets(settings, limits))
    out += finding.text() + "\n";
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

const unit_limits shipped{"phi-backend.service", duration{45s}, duration{45s}, duration{90s}};

} // namespace

TEST_CASE("budget doctor: the shipped unit fits the defaults; nothing known is nothing found") {
  CHECK(findings({}, shipped) == "");
  CHECK(findings({}, {}) == "");
}

TEST_CASE("budget doctor: each mismatch is named with its remedy") {
  auto limits = shipped;
  limits.start = duration{30s};
  CHECK(has(findings({}, limits),
            "TimeoutStartSec of phi-backend.service is 30 s; set TimeoutStartSec=35"));
  limits = shipped;
  limits.stop = duration{40s};
  CHECK(has(findings({}, limits),
            "is 40 s: without progress we end it before that; set TimeoutStopSec=41"));
  config settings;
  settings.shutdown.force_quit = false;
  CHECK(has(findings(settings, limits), "TimeoutStopSec=infinity"));
  limits = shipped;
  limits.watchdog = duration{20s};
  auto text = findings({}, limits);
  CHECK(has(text, "interval_secs = 10 s must be less than half"));
  CHECK(has(text, "5 s is used"));
  CHECK(has(text, "timeout_secs = 60 s and two intervals must be less"));
  CHECK(has(text, "WatchdogSec=81"));
  limits.watchdog.reset();
  settings = {};
  settings.shutdown.watchdog.enabled = true;
  CHECK(has(findings(settings, limits), "has no WatchdogSec"));
}

TEST_CASE("admin.group that the unit cannot see is refused with the lines to add") {
  config settings;
  unit_limits limits{.unit = "phi-backend.service", .group = "phi-backend", .private_users = true};
  CHECK_FALSE(examine_group(settings, limits)); // none is wanted
  settings.admin.group = "phi-backend";
  CHECK_FALSE(examine_group(settings, limits)); // its own
  settings.admin.group = "operators";
  auto finding = examine_group(settings, limits);
  REQUIRE(finding);
  CHECK(finding->text()
        == "admin.group = \"operators\", but phi-backend.service sees no group but its own,"
           " phi-backend; let it run in the group: systemctl edit phi-backend.service, and add"
           " [Service] Group=operators");
  limits.group = "operators";
  CHECK_FALSE(examine_group(settings, limits));
  limits = {.unit = "mine.service", .group = "other"}; // no user name space: the start will tell
  CHECK_FALSE(examine_group(settings, limits));
}

TEST_CASE("an address beside a socket unit is said to have no effect, and only one that was set") {
  config settings;
  settings.server.port = 8080;
  std::map<std::string, std::string> origins{{"server.host", "default"},
                                             {"server.port", "/etc/c.toml:3"}};
  CHECK_FALSE(examine_address(settings, origins, ""));
  auto finding = examine_address(settings, origins, "phi-backend.socket");
  REQUIRE(finding);
  CHECK(finding->text()
        == "server.port = 8080 (/etc/c.toml:3) has no effect: phi-backend.socket decides where the"
           " service listens; change ListenStream= with systemctl edit phi-backend.socket");
  origins["server.port"] = "default";
  CHECK_FALSE(examine_address(settings, origins, "phi-backend.socket"));
}
