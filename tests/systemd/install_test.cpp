// The installer on a real systemd: again, upgrade, roll-back, away.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/systemd/machine.hpp"

#include <filesystem>
#include <fstream>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto port = installed_service::port;
const std::string install = source_path("deploy/install.sh");

std::string from_build() {
  return " --from " + std::filesystem::path{binary()}.parent_path().parent_path().string();
}

/// A build whose service answers --version and --check and does `rest` when it is started.
void fake_build(const std::string& folder, const std::string& version, const std::string& rest) {
  std::filesystem::create_directories(folder + "/server");
  std::filesystem::create_directories(folder + "/tools/phictl");
  std::filesystem::copy_file(
    std::filesystem::path{binary()}.parent_path().parent_path() / "tools/phictl/phictl",
    folder + "/tools/phictl/phictl", std::filesystem::copy_options::overwrite_existing);
  std::ofstream{folder + "/server/phi-backend"}
    << "#!/bin/bash\ncase $* in\n--version) echo 'phi-backend " + version
         + "' ;;\n*--check*) exit 0 ;;\n*) " + rest + " ;;\nesac\n";
  sh("chmod +x " + folder + "/server/phi-backend");
}

/// Everything the installer may touch, with type, mode and content.
std::string snapshot() {
  return sh("cd /; find etc/systemd/system etc/sysusers.d etc/tmpfiles.d etc/phi-backend "
            "usr/local/bin"
            " usr/local/lib/phi-backend usr/local/share/doc/phi-backend -not -type d \\( -type l "
            "-printf '%p -> %l\\n' -o -printf '%p %m ' -exec sha256sum "
            "{} \\;"
            " \\) 2>/dev/null | sort")
    .out;
}

} // namespace

TEST_CASE("a second run changes nothing, and --dry-run never does") {
  installed_service service;
  auto before = snapshot();
  auto pid = service.property("MainPID");
  auto dry = sh(install + " --dry-run" + from_build());
  CHECK(dry.code == 0);
  CHECK(snapshot() == before);
  auto again = sh(install + from_build());
  INFO(again.out);
  CHECK(again.code == 0);
  CHECK(again.out.find("is installed and runs already") != std::string::npos);
  CHECK(snapshot() == before);
  CHECK(service.property("MainPID") == pid);
}

TEST_CASE("an upgrade keeps configuration and data; a version that does not start is rolled back") {
  installed_service service{"", "[server]\nmax_body_bytes = 4096\n"};
  CHECK(post(port, "/api/v1/events", R"({"feature":"f","id":"before"})").status == 200);
  auto current = sh("readlink -f /usr/local/lib/phi-backend/current").out;

  fake_build("/var/tmp/bad", "9.9.9", "echo 'this one is broken' >&2; exit 1");
  auto bad = sh(install + " --from /var/tmp/bad");
  INFO(bad.out);
  CHECK(bad.code == 1);
  CHECK(bad.out.find("the upgrade was rolled back") != std::string::npos);
  CHECK(bad.out.find("this one is broken") != std::string::npos);
  CHECK(sh("readlink -f /usr/local/lib/phi-backend/current").out == current);
  CHECK(get(port, "/health/ready").status == 200);
  CHECK(sh("ls /usr/local/lib/phi-backend").out.find("9.9.9") == std::string::npos);

  // A good one: the same programs under another version.
  fake_build("/var/tmp/good", "9.9.8", "exec " + current + "/phi-backend \"$@\"");
  auto good = sh(install + " --from /var/tmp/good");
  INFO(good.out);
  CHECK(good.code == 0);
  CHECK(sh("readlink /usr/local/lib/phi-backend/current").out.starts_with("9.9.8-"));
  CHECK(
    post(port, "/api/v1/events", R"({"feature":"f","id":"before"})").body.find("\"duplicates\":1")
    != std::string::npos);
  CHECK(post(port, "/api/v1/events", std::string(5000, ' ')).status
        == 413); // the configuration too

  auto back = sh(install + " --rollback");
  INFO(back.out);
  CHECK(back.code == 0);
  CHECK(sh("readlink -f /usr/local/lib/phi-backend/current").out == current);
  CHECK(get(port, "/health/ready").status == 200);
  sh("rm -rf /var/tmp/good /var/tmp/bad");
}

TEST_CASE("a version that refuses the configuration is not switched to") {
  installed_service service{"", "[server]\nmax_body_bytes = 4096\n"};
  std::ofstream{"/etc/phi-backend/config.toml"} << "[server]\nmax_bdy_bytes = 1\n";
  auto before = sh("readlink /usr/local/lib/phi-backend/current").out;
  auto result = sh(install + from_build());
  CHECK(result.code == 1);
  CHECK(result.out.find("nothing was switched") != std::string::npos);
  CHECK(result.out.find("did you mean server.max_body_bytes?") != std::string::npos);
  CHECK(sh("readlink /usr/local/lib/phi-backend/current").out == before);
  CHECK(get(port, "/health/ready").status == 200);
}

TEST_CASE("wrong options are told, with status 2") {
  for (auto options : {"--prefix relative", "--from /nowhere", "--purge", "--frobnicate"}) {
    CAPTURE(options);
    auto result = sh(install + " " + options);
    CHECK(result.code == 2);
    CHECK(result.out.find("--help") != std::string::npos);
  }
}

TEST_CASE("uninstalled it leaves nothing but data; purged not even those") {
  auto clean = [] {
    return sh(
             "find /etc /usr /opt /run /var/lib /var/cache -xdev \\( -name '*phi-backend*' -o -name"
             " 'phictl' \\) 2>/dev/null | sort")
      .out;
  };
  installed_service service;
  CHECK(post(port, "/api/v1/events", R"({"feature":"f","id":"kept"})").status == 200);
  sh("rm -rf /etc/systemd/system/phi-backend.service.d"); // the drill's own
  auto gone = sh(install + " --uninstall");
  INFO(gone.out);
  CHECK(gone.code == 0);
  CHECK(clean() == "/var/lib/phi-backend");
  CHECK(sh("systemctl cat phi-backend").code != 0);
  CHECK(get(port, "/health/live").status == 0);
  // Its data are there when it comes back, with another prefix.
  auto again = sh(install + " --prefix /opt/phi" + from_build());
  INFO(again.out);
  REQUIRE(again.code == 0);
  CHECK(post(port, "/api/v1/events", R"({"feature":"f","id":"kept"})").body.find("\"duplicates\":1")
        != std::string::npos);
  CHECK(sh("/opt/phi/bin/phictl health").code == 0);
  CHECK(sh(install + " --prefix /opt/phi --uninstall --purge").code == 0);
  CHECK(clean() == "");
  CHECK(sh("getent passwd phi-backend").code != 0);
}
