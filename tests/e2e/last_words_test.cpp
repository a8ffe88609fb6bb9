// Drills on the real process: what it says of its end, whatever ends it, and how it takes signals.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/notify_socket.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/small_disk.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <utility>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

namespace {

const std::string one_event = R"({"feature":"f","action":"a"})";

program_result last_exit(const temp_dir& dir, std::vector<std::string> more = {}) {
  std::vector<std::string> words{phictl(), "last-exit", "--state-dir", dir.path()};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

/// A disk that can be made to hang. Needs the right to mount.
class freezing_disk {
public:
  explicit freezing_disk(const temp_dir& dir) : at_(dir.path("disk")) {
    there_ = shell("truncate -s 16M " + at_ + ".img && mkfs.ext4 -q " + at_ + ".img && mkdir " + at_
                   + " && mount -o loop " + at_ + ".img " + at_)
               .code
             == 0;
  }
  ~freezing_disk() {
    thaw();
    if (there_)
      shell("umount -l " + at_);
  }
  freezing_disk(const freezing_disk&) = delete;
  bool there() const { return there_; }
  void freeze() { frozen_ = shell("fsfreeze -f " + at_).code == 0; }
  void thaw() {
    if (std::exchange(frozen_, false))
      shell("fsfreeze -u " + at_);
  }
  bool frozen() const { return frozen_; }

private:
  std::string at_;
  bool there_ = false;
  bool frozen_ = false;
};

/// The binary in a shell, with a free port and its state in `dir`.
std::string in_shell(const temp_dir& dir, const std::string& before, const std::string& after) {
  return "APP_SERVER_PORT=0 APP_SERVER_STATE_DIR=" + dir.path("state") + " " + before + " "
         + binary() + " " + after;
}

} // namespace

TEST_CASE("a state directory whose disk hangs takes neither the last words nor the exit") {
  REQUIRE(has_faults());
  {
    temp_dir dir;
    service_process service{dir.path(),
                            {{"PHI_FAULTS", "store.release=block,report.write=block"},
                             {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
                             {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}}};
    auto end = service.stop();
    CHECK(end.code == 81);
    CHECK(end.took >= 2000ms);
    CHECK(end.took < 3000ms);
    CHECK(service.logged("is forced to leave survivors=\"store (killed at 1."));
    CHECK(service.logged("report store"));
    CHECK(service.logged("forced by the deadline"));
    CHECK(service.last_exit().empty());
  }
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "report.write=block"}}};
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 6s); // 1 s for the disk; the rest is a busy machine
  CHECK(service.logged("clean stop, ledger balanced"));
  CHECK(service.logged("has not answered for 1.0 s"));
}

TEST_CASE("a disk that is really frozen: the log says who hangs, before it thaws"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  freezing_disk disk{dir};
  if (!disk.there()) {
    MESSAGE("skipped: no loop device to be had");
    return;
  }
  service_process service{dir.path(),
                          {{"APP_SERVER_STATE_DIR", dir.path("disk")},
                           {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
                           {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}}};
  disk.freeze();
  REQUIRE(disk.frozen());
  std::thread sending([&] { post(service.port(), "/api/v1/events", one_event); });
  std::this_thread::sleep_for(300ms);
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("report forced by the deadline", 10s));
  CHECK(service.logged("is forced to leave"));
  CHECK(service.logged("store in COMMIT for "));
  disk.thaw(); // until then the system cannot end a thread that is in a write
  CHECK(service.wait(10s).code == 81);
  sending.join();
}

TEST_CASE("a clean stop on a full disk keeps its report and is no crash at the next start"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  small_disk disk{dir.path("state"), "8m"};
  settings env{{"APP_SERVER_STATE_DIR", dir.path("state")},
               {"PHI_FAULTS", "report.opened=block:100"}}; // time for another to take its room
  std::string first;
  {
    service_process service{dir.path(), env};
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    disk.fill();
    // Events about our own requests, which cannot be stored: neither code nor time are theirs.
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 503);
    CHECK(get(service.port(), "/api/v1/stats/summary").status == 200);
    std::atomic<bool> over{false}; // whatever room there is, somebody else takes it
    std::thread other{[&] {
      const std::string block(4096, 'x');
      std::ofstream more{dir.path("state/more"), std::ios::app};
      for (; !over; std::this_thread::sleep_for(100us)) {
        more.clear();
        more.write(block.data(), static_cast<std::streamsize>(block.size())).flush();
      }
    }};
    auto began = std::chrono::steady_clock::now();
    CHECK(service.stop().code == 0);
    CHECK(std::chrono::steady_clock::now() - began < 3s);
    over = true;
    other.join();
    CHECK(service.logged("drops events about the service's own requests"));
    CHECK_FALSE(service.logged("cannot keep the report"));
    first = read_file(dir.path("state/last-exit.json"));
    CHECK(json::parse(first)["exitCode"] == 0);
    CHECK_FALSE(std::filesystem::exists(dir.path("state/running.json")));
  }
  disk.clear();
  std::filesystem::remove(dir.path("state/more"));
  service_process again{dir.path(), env};
  CHECK_FALSE(again.logged("ended without a report"));
  CHECK(read_file(dir.path("state/last-exit.json")) == first);
  CHECK(again.stop().code == 0);
}

TEST_CASE("a report that cannot be kept is told by the next start as what it was") {
  REQUIRE(has_faults());
  temp_dir dir;
  {
    service_process service{dir.path(), {{"PHI_FAULTS", "report.write=throw"}}};
    CHECK(service.stop().code == 0);
    CHECK(service.logged("cannot keep the report"));
  }
  auto told = last_exit(dir, {"--explain"});
  CHECK(told.code == 0);
  CHECK(has(told.out, "clean stop, ledger balanced (exit status 0)"));
  CHECK(has(told.out, "its report could not be kept: injected fault"));
  service_process again{dir.path()};
  CHECK(
    again.logged("ended with status 0 (clean stop, ledger balanced), but its report could not"));
  CHECK_FALSE(again.logged("without a report"));
  CHECK(again.stop().code == 0);
}

TEST_CASE("whom the watchdog gave the process up for is told by the next start, and before it") {
  REQUIRE(has_faults());
  temp_dir dir;
  {
    notify_socket manager{dir.path("notify")};
    service_process service{dir.path(),
                            {{"NOTIFY_SOCKET", dir.path("notify")},
                             {"WATCHDOG_USEC", "2000000"},
                             {"PHI_FAULTS", "store.ping=block@4"}}};
    CHECK(manager.wait_for("WATCHDOG=trigger"));
    service.signal(SIGABRT); // as the manager does
    service.wait();
  }
  auto told = last_exit(dir, {"--explain"});
  CHECK(told.code == 1);
  CHECK(has(told.out, "the watchdog had given it up because store was stuck"));
  CHECK(has(told.out, "- the watchdog gave it up because store was stuck"));
  service_process again{dir.path()};
  CHECK(again.logged("without a report: the watchdog had given it up because of store"));
  CHECK(last_exit(dir).code == 1);
  CHECK(has(last_exit(dir).out, "because store was stuck"));
  CHECK(again.stop().code == 0);
  CHECK(last_exit(dir).code == 0);
}

TEST_CASE("after a kill last-exit tells that run, before the next start as well") {
  temp_dir dir;
  pid_t killed = 0;
  {
    service_process service{dir.path()};
    service.stop();
  }
  {
    service_process service{dir.path()};
    killed = service.pid();
    CHECK(last_exit(dir).code == 0); // the run before this one
    service.kill();
  }
  for (int start = 0; start < 2; ++start) {
    CAPTURE(start);
    auto told = last_exit(dir, {"--explain"});
    CHECK(told.code == 1);
    CHECK(has(told.out, "ended without a report: killed or crashed; process "
                          + std::to_string(killed) + ", started 20"));
    CHECK(has(told.out, "look for a kill"));
    CHECK_FALSE(has(told.out, "clean stop"));
    auto report = json::parse(last_exit(dir, {"--json"}).out);
    CHECK(report["crashed"] == true);
    CHECK(report["pid"] == killed);
    if (start == 0) {
      service_process again{dir.path()};
      auto during = json::parse(last_exit(dir, {"--json"}).out);
      CHECK(during["pid"] == killed);
      again.signal(SIGKILL);
      killed = again.pid();
      again.wait();
    }
  }
}

TEST_CASE("stop --wait does not take another run's report for that of a run that was killed") {
  REQUIRE(has_faults());
  temp_dir dir;
  {
    service_process service{dir.path()};
    service.stop(); // leaves a report of a clean stop
  }
  service_process service{dir.path(), {{"PHI_FAULTS", "store.release=block"}}};
  program_result stop;
  std::thread waiting([&] { stop = ctl(dir, {"stop", "--wait"}); });
  CHECK(service.wait_for_log("begins to stop"));
  std::this_thread::sleep_for(300ms);
  service.kill();
  waiting.join();
  CHECK(stop.code == 1);
  CHECK(has(stop.err, "was killed, or crashed, before its stop was over"));
  CHECK_FALSE(has(stop.out, "clean stop"));
}

TEST_CASE("a supervisor that dies ends the process at once, and says of what") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "supervisor.ping=throw@2"},
                           {"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
                           {"APP_SHUTDOWN_WATCHDOG_INTERVAL_SECS", "1"}}};
  auto end = service.wait(10s);
  CHECK(end.code == 80);
  CHECK(
    service.logged("has died, and with it all order: leaves at once cause=\"exception: injecte"));
  CHECK(service.logged("dumps an actor actor=store doing=idle"));
  CHECK(service.logged("is forced to leave"));
  auto report = json::parse(service.last_exit());
  CHECK(report["exitCode"] == 80);
  CHECK(report["reason"] == "child_died");
  CHECK(report["detail"] == "supervisor: exception: injected fault");
}

TEST_CASE("a supervisor that dies in a stop ends the process at once as well") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{
    dir.path(), {{"PHI_FAULTS", "supervisor.tick=throw"}, {"APP_SERVER_DRAIN_DELAY_MS", "300"}}};
  auto end = service.stop();
  CHECK(end.code == 80);
  CHECK(end.took < 3s);
  CHECK(json::parse(service.last_exit())["detail"] == "supervisor: exception: injected fault");
}

TEST_CASE("signals that arrive together are one wish: timeout, a doubled signal, a mix of two") {
  {
    temp_dir dir;
    auto end = shell(in_shell(dir, "timeout --preserve-status 1", ""));
    CHECK(end.code == 0);
    auto report = json::parse(read_file(dir.path("state/last-exit.json")));
    CHECK(report["mode"] == "graceful");
    CHECK(report["exitCode"] == 0);
  }
  for (auto numbers : {std::vector{SIGTERM, SIGTERM, SIGTERM}, std::vector{SIGINT, SIGTERM, SIGINT},
                       std::vector{SIGTERM, SIGINT, SIGHUP, SIGTERM}}) {
    temp_dir dir;
    service_process service{dir.path(), {{"APP_SERVER_KEEPALIVE_GRACE_MS", "300"}}};
    http_client idle{service.port()}; // the stop lasts a little
    idle.get("/health/live");
    for (auto number : numbers) {
      service.signal(number);
      std::this_thread::sleep_for(5ms);
    }
    CHECK(service.wait().code == 0);
    CHECK(json::parse(service.last_exit())["mode"] == "graceful");
    CHECK(service.logged("takes a signal for the same wish as the last"));
  }
}

TEST_CASE("what is not the service ends at a signal") {
  // A server that takes connections and never answers.
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  ::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at);
  ::listen(listener, 8);
  socklen_t size = sizeof at;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
  auto url = "postgresql://127.0.0.1:" + std::to_string(ntohs(at.sin_port)) + "/phi?user=x";
  for (auto [name, status] : {std::pair{"TERM", 128 + SIGTERM}, std::pair{"INT", 128 + SIGINT},
                              std::pair{"QUIT", 128 + SIGQUIT}}) {
    CAPTURE(name);
    temp_dir dir;
    auto fifo = dir.path("fifo"); // nobody writes into it
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    for (const auto& does : {std::string{"--migrate"}, "--check --config " + fifo}) {
      CAPTURE(does);
      auto began = std::chrono::steady_clock::now();
      auto end =
        shell("export APP_STATS_STORAGE=postgres APP_STATS_POSTGRES_URL='" + url + "'; "
              + in_shell(dir, "timeout --preserve-status -s " + std::string{name} + " 0.5", does));
      CHECK(end.code == status);
      CHECK(std::chrono::steady_clock::now() - began < 1500ms);
    }
  }
  ::close(listener);
}

TEST_CASE("without stdin, stdout and stderr nothing is written where it does not belong") {
  temp_dir dir;
  auto end = shell(in_shell(dir, "timeout --preserve-status 1", "0<&- 1>&- 2>&-"));
  CHECK(end.code == 0);
  CHECK(std::filesystem::exists(dir.path("state/phi.lock")));
  CHECK(read_file(dir.path("state/phi.lock")).empty());
  CHECK(json::parse(read_file(dir.path("state/last-exit.json")))["exitCode"] == 0);
  // No file of ours may take their places: a library writes to "stderr" whatever that is.
  auto seen =
    shell(in_shell(dir, "", "0<&- 1>&- 2>&- & pid=$!; sleep 0.7; ")
          + "readlink /proc/$pid/fd/0 /proc/$pid/fd/1 /proc/$pid/fd/2; kill $pid; wait $pid");
  CHECK(seen.out == "/dev/null\n/dev/null\n/dev/null\n");
  CHECK(seen.code == 0);
}

TEST_CASE("a start that fails opens nothing") {
  temp_dir dir;
  shell("echo this is not a database, just text > " + dir.path("phi.db"));
  service_process service{dir.path(), {}, false};
  CHECK(service.wait().code == 1);
  CHECK(service.logged("not a database"));
  CHECK_FALSE(service.logged("http listens"));
}

TEST_CASE("a stop in the back-off of a dead listener refuses politely") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "http.ping=throw@2*3"}, // waits of 100, 200 and 400 ms
                           {"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
                           {"APP_SHUTDOWN_WATCHDOG_INTERVAL_SECS", "1"},
                           {"APP_SERVER_KEEPALIVE_GRACE_MS", "800"}}};
  http_client busy{service.port()};
  CHECK(busy.post("/api/v1/events", one_event).status == 200);
  CHECK(service.wait_for_log("starts an actor again actor=http restarts=2"));
  for (int i = 0; i < 1000
                  && service.log().find("loses an actor", service.log().find("restarts=2"))
                       == std::string::npos;
       ++i)
    std::this_thread::sleep_for(2ms);
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("begins to stop"));
  std::this_thread::sleep_for(100ms);
  auto last = busy.post("/api/v1/events", one_event);
  CHECK(last.status == 200);
  CHECK(last.closes());
  CHECK_FALSE(http_client{service.port()}.connected());
  CHECK(service.wait().code == 0);
  CHECK_FALSE(service.logged("restarts=3"));
}
