// What would end a start on this machine.

#include "server/process/start_checks.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

using namespace phi;
using namespace phi::systemd;
using namespace phi::testing;

TEST_CASE("a group that does not exist would end a start, whatever the unit lets it see") {
  config settings;
  settings.admin.group = "no-such-group";
  settings.resolved.state_dir = "/nonexistent";
  for (bool private_users : {true, false}) {
    unit_limits limits{.unit = "phi-backend.service", .private_users = private_users};
    auto failing = failing_start_checks(settings, limits);
    REQUIRE(failing.size() == 1);
    CHECK(failing[0].why() == "admin.group = \"no-such-group\": there is no such group");
  }
}

TEST_CASE("a host that is not here would end a start, but not where a socket unit listens") {
  temp_dir dir;
  config settings;
  settings.resolved.state_dir = dir.path();
  CHECK(failing_start_checks(settings, std::nullopt).empty());
  settings.server.host = "203.0.113.77";
  auto failing = failing_start_checks(settings, std::nullopt);
  REQUIRE(failing.size() == 1);
  CHECK(failing[0].why().find("server.host") != std::string::npos);
  CHECK(failing_start_checks(settings, unit_limits{.unit = "u.service"}).size() == 1);
  CHECK(
    failing_start_checks(settings, unit_limits{.unit = "u.service", .socket = "u.socket"}).empty());
}

TEST_CASE("tokens that cannot be read would end a start, and are left as they are") {
  temp_dir dir;
  config settings;
  settings.resolved.state_dir = dir.path();
  write_text(dir.path("tokens.json"), "{");
  CHECK(failing_start_checks(settings, std::nullopt).size() == 1);
  settings.server.host = "203.0.113.77";
  CHECK(failing_start_checks(settings, std::nullopt).size() == 2); // all of them, not the first
  CHECK(text_in(dir.path("tokens.json")) == "{");
}
