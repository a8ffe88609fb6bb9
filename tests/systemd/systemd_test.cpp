// The deployed unit on a real systemd. Run by tests/systemd/run, which boots one.

#include "tests/support/doctest.hpp"
#include "tests/support/exactly_once.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/systemd/machine.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto port = installed_service::port;

bool ready() {
  return get(port, "/health/ready").status == 200;
}

std::string contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos ? "" : "\"" + part + "\" is not in:\n" + text;
}

} // namespace

TEST_CASE("flaw 14: installed, started, fed, stopped with a report in the journal") {
  installed_service service{"", "", false};
  CHECK(sh("systemctl start phi-backend").code == 0);
  CHECK(service.property("ActiveState") == "active");
  CHECK(ready());
  CHECK(post(port, "/api/v1/events", R"({"feature":"f","id":"1"})").status == 200);
  // Ours, and the record of the request itself.
  CHECK(
    soon([&] { return service.property("StatusText").find(", 2 stored") != std::string::npos; }));
  CHECK(sh("systemctl stop phi-backend.socket phi-backend.service").code == 0);
  CHECK(service.property("Result") == "success");
  CHECK(service.property("ExecMainStatus") == "0");
  CHECK(contains(service.journal(), "clean stop, ledger balanced") == "");
  CHECK(service.property("StatusText").starts_with("stopped: "));
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 1);
}

TEST_CASE("the journal has our fields") {
  installed_service service;
  sh("systemctl stop phi-backend");
  CHECK(contains(service.journal("PHI_ACTOR=report"), "clean stop") == "");
  CHECK(service.journal("PHI_ACTOR=report PHI_CODE=0").find("clean stop") != std::string::npos);
  CHECK(service.journal("PHI_ACTOR=nobody").find("clean stop") == std::string::npos);
  CHECK(contains(service.journal("PHI_CODE=0 --output=json"), "\"PRIORITY\":\"6\"") == "");
}

TEST_CASE("systemd accepts the units, and their exposure is at most 1.5") {
  installed_service service{"", "", false};
  CHECK(sh("systemd-analyze verify /etc/systemd/system/phi-backend.service"
           " /etc/systemd/system/phi-backend.socket")
          .out
        == "");
  auto security = sh("systemd-analyze security --threshold=15 phi-backend.service");
  INFO(security.out);
  CHECK(security.code == 0);
}

TEST_CASE("flaw 6: each critical actor frozen in turn: named, restarted, nothing lost") {
  REQUIRE(has_faults());
  for (std::string who :
       {"store", "stats", "http", "reader", "admin", "signal", "supervisor", "watchdog"}) {
    CAPTURE(who);
    auto place = who == "watchdog" ? who + ".tick" : who + ".ping";
    installed_service service{"WatchdogSec=3\nEnvironment=PHI_FAULTS=" + place + "=block@4"};
    load clients{port, "load", 4};
    CHECK(soon([&] { return service.number("NRestarts") >= 1; }));
    service.heal();
    CHECK(soon(ready));
    auto seen = clients.finish();
    CHECK(contains(service.journal("PHI_STUCK=" + who), "stuck=" + who) == "");
    CHECK(contains(service.journal(), "Watchdog") == "");
    sh("systemctl stop phi-backend");
    check_exactly_once(in_file(service.database()), seen);
  }
}

TEST_CASE("a starved machine and a paused process cause no false restart") {
  // Our own watchdog alone: the manager's counts wall time, which nobody keeps without a processor.
  installed_service service{"WatchdogSec=0\nNice=19", "[shutdown.watchdog]\nenabled = true\n"
                                                      "interval_secs = 1\ntimeout_secs = 3\n"};
  {
    load clients{port, "load", 4};
    // Hogs of the highest priority, three for each processor, for three times the limit.
    sh("for i in $(seq $((3 * $(nproc)))); do"
       " nice -n -20 timeout 9 sh -c 'while :; do :; done' & done; wait");
  }
  CHECK(service.number("NRestarts") == 0);
  CHECK(soon(ready));
  auto pid = static_cast<pid_t>(service.number("MainPID"));
  ::kill(pid, SIGSTOP);
  std::this_thread::sleep_for(5s);
  ::kill(pid, SIGCONT);
  std::this_thread::sleep_for(4s);
  CHECK(service.number("NRestarts") == 0);
  CHECK(service.number("MainPID") == pid);
  CHECK(service.journal("PHI_STUCK=store").find("stuck") == std::string::npos);
  CHECK(contains(service.journal(), "stood still") == "");
}

TEST_CASE(
  "restarted 30 times under load through the socket: none refused, reset, lost or doubled") {
  installed_service service;
  load clients{port, "load", 8};
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(60ms);
    auto result = sh("systemctl restart phi-backend");
    INFO(result.out);
    REQUIRE(result.code == 0);
  }
  auto seen = clients.finish();
  sh("systemctl stop phi-backend");
  MESSAGE("30 restarts: " << seen.requests << " requests, " << seen.acknowledged.size()
                          << " acknowledged, " << seen.connections_refused << " refused, "
                          << seen.resets_after_send << " reset, " << seen.refused.size()
                          << " answered 503, " << seen.other_answers << " other");
  CHECK(seen.connections_refused == 0);
  CHECK(seen.resets_after_send == 0);
  CHECK(seen.refused.empty());
  CHECK(seen.other_answers == 0);
  check_exactly_once(in_file(service.database()), seen);
}

TEST_CASE("killed under load: systemd starts it again, what was acknowledged is there once") {
  installed_service service;
  load clients{port, "load", 8};
  for (int i = 1; i <= 3; ++i) {
    std::this_thread::sleep_for(300ms);
    sh("systemctl kill --signal=KILL phi-backend");
    CHECK(soon([&] { return service.number("NRestarts") == i && ready(); }));
  }
  auto seen = clients.finish();
  CHECK(seen.connections_refused == 0); // they wait in the socket's queue
  CHECK(service.logged("ended without a report"));
  sh("systemctl stop phi-backend");
  check_exactly_once(in_file(service.database()), seen);
}

TEST_CASE("a stop longer than TimeoutStopSec goes on while it makes progress") {
  REQUIRE(has_faults());
  installed_service service{"TimeoutStopSec=3\nEnvironment=PHI_FAULTS=store.commit=block:400",
                            "[stats]\ndurability = \"queued\"\nbatch_size = 100\n"};
  for (int request = 0; request < 15; ++request) {
    std::string lines;
    for (int i = 0; i < 100; ++i)
      lines += R"({"feature":"slow","id":")" + std::to_string(request * 100 + i) + "\"}\n";
    CHECK(post(port, "/api/v1/events", lines, "application/x-ndjson").status == 200);
  }
  CHECK(soon([&] { return service.logged("TimeoutStopSec of phi-backend.service is 3 s"); }));
  auto began = std::chrono::steady_clock::now();
  sh("systemctl stop phi-backend");
  CHECK(std::chrono::steady_clock::now() - began > 3500ms);
  CHECK(service.property("Result") == "success");
  CHECK(service.property("ExecMainStatus") == "0");
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='slow'")
        == 1500);
}

TEST_CASE(
  "a stop without progress is ended by us, with our code and report, before systemd kills") {
  REQUIRE(has_faults());
  installed_service service{"TimeoutStopSec=4\nEnvironment=PHI_FAULTS=store.release=block"};
  CHECK(soon([&] { return service.logged("TimeoutStopSec of phi-backend.service is 4 s"); }));
  sh("systemctl stop phi-backend");
  CHECK(service.property("ExecMainStatus") == "81");
  CHECK(service.property("Result") == "exit-code");
  CHECK(contains(service.journal(), "is forced to leave") == "");
  CHECK(sh("cat /var/lib/phi-backend/last-exit.json").out.find("\"exitCode\": 81")
        != std::string::npos);
}

TEST_CASE("a start beyond its time-out fails in time and with its reason") {
  REQUIRE(has_faults());
  installed_service service{
    "TimeoutStartSec=20\nRestart=no\nEnvironment=PHI_FAULTS=store.open=block"
    "\nEnvironment=APP_SHUTDOWN_START_TIMEOUT_SECS=1"
    "\nEnvironment=APP_SHUTDOWN_TIMEOUT_SECS=1"
    "\nEnvironment=APP_SHUTDOWN_FORCE_DELAY_SECS=1",
    "", false};
  auto began = std::chrono::steady_clock::now();
  CHECK(sh("systemctl start phi-backend").code != 0);
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  CHECK(contains(service.journal(), "store did not start within") == "");
}

TEST_CASE("a wrong configuration is not tried again and again") {
  installed_service service{"", "[server]\nprot = 1\n", false};
  CHECK(sh("systemctl start phi-backend").code != 0);
  CHECK(service.property("ExecMainStatus") == "2");
  CHECK(service.property("NRestarts") == "0");
  CHECK(contains(service.journal(), "did you mean server.port?") == "");
}

TEST_CASE("systemctl reload under load: no request fails; a broken file changes nothing") {
  installed_service service{"", "[server]\nmax_body_bytes = 100000\n"};
  auto configure = [](const std::string& text) {
    std::ofstream{"/etc/phi-backend/config.toml"} << text;
  };
  load clients{port, "load", 8};
  for (int i = 0; i < 10; ++i) {
    configure("[server]\nmax_body_bytes = " + std::to_string(90000 - i) + "\n");
    CHECK(sh("systemctl reload phi-backend").code == 0);
  }
  CHECK(contains(service.journal(), "server.max_body_bytes: 89992 -> 89991") == "");
  configure("[server]\nmax_body_bytes = \"many\"\n");
  CHECK(sh("systemctl reload phi-backend").code != 0); // it says so
  CHECK(contains(service.journal(), "config.toml:2: server.max_body_bytes") == "");
  CHECK(soon([&] { return service.property("ActiveState") == "active"; }));
  configure("[server]\nmax_body_bytes = 600\n");
  for (int i = 0; i < 3; ++i)
    sh("systemctl kill --signal=HUP phi-backend");
  CHECK(soon([&] { return service.logged("89991 -> 600"); }));
  auto seen = clients.finish();
  CHECK(seen.connections_refused == 0);
  CHECK(seen.resets_after_send == 0);
  CHECK(seen.refused.empty());
  CHECK(seen.other_answers == 0);
  CHECK(post(port, "/api/v1/events", std::string(700, ' ')).status == 413);
  CHECK(service.number("NRestarts") == 0);
  sh("systemctl stop phi-backend");
  check_exactly_once(in_file(service.database()), seen);
}

TEST_CASE("the doctor holds the unit's time-outs against ours, at the start and in --check") {
  installed_service service{"TimeoutStopSec=5\nWatchdogSec=12"};
  CHECK(soon([&] { return service.logged("TimeoutStopSec of phi-backend.service is 5 s"); }));
  auto log = service.journal();
  CHECK(contains(log, "set TimeoutStopSec=41 in the unit") == "");
  CHECK(contains(log, "shutdown.watchdog.interval_secs = 10 s must be less than half") == "");
  auto check = sh("phi-backend --config /etc/phi-backend/config.toml --check");
  CHECK(check.code == 0);
  CHECK(contains(check.out, "set TimeoutStopSec=41 in the unit") == "");
  service.heal();
  check = sh("phi-backend --config /etc/phi-backend/config.toml --check");
  CHECK(contains(check.out, "The time-outs of phi-backend.service fit.") == "");
}

TEST_CASE("secrets are credentials: the service has them, nobody sees them") {
  std::ofstream{"/etc/phi-backend/secrets/auth.token"} << "correct-horse-battery\n";
  {
    installed_service service;
    CHECK(get(port, "/api/v1/stats/summary").status == 401);
    CHECK(
      get(port, "/api/v1/stats/summary", "Authorization: Bearer correct-horse-battery\r\n").status
      == 200);
    CHECK(service.journal("--output=verbose").find("correct-horse") == std::string::npos);
    CHECK(sh("tr '\\0' '\\n' < /proc/" + service.property("MainPID") + "/environ /proc/"
             + service.property("MainPID") + "/cmdline")
            .out.find("correct-horse")
          == std::string::npos);
  }
  std::filesystem::remove("/etc/phi-backend/secrets/auth.token");
}

TEST_CASE("admin.group: members who are not root use phictl; what cannot work is refused before") {
  auto as = [](const std::string& who, const std::string& words = "health") {
    return sh("setpriv --reuid=" + who + " --regid=" + who + " --init-groups phictl " + words);
  };
  auto group = [](const std::string& name) { return "[admin]\ngroup = \"" + name + "\"\n"; };
  {
    installed_service own{"", group("phi-backend")}; // the unit as shipped
    sh("groupadd operators; useradd --groups operators olga; useradd --groups phi-backend paul");
    auto paul = as("paul");
    CHECK_MESSAGE(paul.code == 0, paul.out);
    // A backup is his, in a directory where the service has no rights.
    const std::string home = "/home/" + std::string{"paul"};
    sh("install --directory --owner=paul --group=paul --mode=0700 " + home);
    CHECK(post(port, "/api/v1/events", R"({"feature":"f"})").status == 200);
    auto copied = as("paul", "backup " + home + "/x.db");
    CHECK_MESSAGE(copied.code == 0, copied.out);
    CHECK(contains(copied.out, home + "/x.db: ") == "");
    CHECK(sh("stat --format='%U %G %a' " + home + "/x.db").out == "paul paul 600");
    CHECK(ask_database(home + "/x.db", "SELECT count(*) FROM event WHERE feature = 'f'") == 1);
    CHECK(sh("ls -A " + home).out == "x.db");
    auto olga = as("olga");
    CHECK(olga.code == 1);
    CHECK(as("olga", "backup /tmp/x.db").code == 1);
    CHECK_FALSE(std::filesystem::exists("/tmp/x.db"));
    CHECK(contains(olga.out, "not permitted") == "");
    // Another one: neither --check nor a reload calls it fine.
    std::ofstream{"/etc/phi-backend/config.toml"} << group("operators");
    auto check = sh("phi-backend --config /etc/phi-backend/config.toml --check");
    CHECK(check.code == 2);
    CHECK(contains(check.out, "[Service] Group=operators") == "");
    auto reload = sh("phictl reload");
    CHECK(reload.code == 1);
    CHECK(contains(reload.out, "[Service] Group=operators") == "");
    CHECK(ready());
  }
  installed_service foreign{"Group=operators", group("operators")}; // with the lines added
  CHECK(sh("phi-backend --config /etc/phi-backend/config.toml --check").code == 0);
  CHECK(as("olga").code == 0);
  CHECK(as("paul").code == 1);
}

TEST_CASE("a port beside the socket unit has no effect, and everybody says so") {
  installed_service service{"", "[server]\nport = 8080\n"};
  auto said =
    "server.port = 8080 (/etc/phi-backend/config.toml:2) has no effect: phi-backend.socket";
  CHECK(soon([&] { return service.logged(said); }));
  CHECK(contains(sh("phictl doctor").out, "has no effect: phi-backend.socket") == "");
  CHECK(contains(sh("phi-backend --config /etc/phi-backend/config.toml --check").out, said) == "");
  auto shown = sh("phictl config show server.port").out;
  CHECK(contains(shown, "3939") == "");
  CHECK(contains(shown, "phi-backend.socket") == "");
  CHECK(shown.find("8080") == shown.npos);
}

TEST_CASE("a socket unit that lets other machines in needs a token") {
  sh("mkdir -p /etc/systemd/system/phi-backend.socket.d; printf '[Socket]\\nListenStream=\\n"
     "ListenStream=0.0.0.0:3939\\n' > /etc/systemd/system/phi-backend.socket.d/drill.conf");
  {
    installed_service service{"", "", false};
    CHECK(sh("systemctl start phi-backend").code != 0);
    CHECK(contains(service.journal(), "lets other machines in, and there is no auth.token") == "");
  }
  sh("rm -r /etc/systemd/system/phi-backend.socket.d; systemctl daemon-reload");
}

TEST_CASE("phictl manages the unit, also under the name phi-backendctl") {
  installed_service service{"", "", false};
  auto down = sh("phictl status");
  CHECK(down.code == 3);
  CHECK(contains(down.out, "phictl start") == "");
  CHECK(sh("phictl start").out == "phi-backend.service is ready");
  CHECK(sh("phictl health").out == "healthy: the service is ready");
  auto status = sh("phi-backendctl status");
  CHECK(status.code == 0);
  CHECK(contains(status.out, "phi-backend.service  active, enabled") == "");
  CHECK(contains(status.out, "balanced") == "");
  CHECK(
    sh(
      "phictl --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"state\"])'")
      .out
    == "ready");
  auto pid = service.property("MainPID");
  CHECK(sh("phictl restart").code == 0);
  CHECK(service.property("MainPID") != pid);
  CHECK(contains(sh("phictl logs -n 200").out, "is ready") == "");
  CHECK(sh("phictl disable && systemctl is-enabled phi-backend.service phi-backend.socket")
          .out.find("enabled")
        == std::string::npos);
  CHECK(sh("phictl enable && systemctl is-enabled phi-backend.service phi-backend.socket").code
        == 0);
  CHECK(sh("phictl drain").code == 0);
  CHECK(soon([] { return get(port, "/health/ready").status == 503; }));
  CHECK(sh("phictl health").code == 1);
  CHECK(sh("phictl undrain").code == 0);
  CHECK(soon(ready));
  CHECK(sh("phictl reload").out == "Nothing has changed");
  CHECK(sh("phictl stop").out == "phi-backend.service is stopped");
  CHECK(service.property("ActiveState") == "inactive");
  CHECK(get(port, "/health/live").status == 0); // the socket is closed as well
  CHECK(sh("phictl health").code == 3);
}

TEST_CASE("logs -f follows") {
  installed_service service;
  auto seen = sh("timeout 5 phictl logs -f -n 0 & sleep 1; phictl reload >/dev/null; wait");
  CHECK(contains(seen.out, "has reloaded") == "");
}
