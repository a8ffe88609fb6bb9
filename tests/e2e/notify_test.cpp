// What the service tells a service manager: order and content of all messages, on a fake notify
// socket. tests/systemd/ shows the same on the real one.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/notify_socket.hpp"
#include "tests/support/service_process.hpp"

#include <csignal>
#include <fstream>
#include <sys/socket.h>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

settings with_manager(const notify_socket& manager, settings more = {}) {
  more["NOTIFY_SOCKET"] = manager.path();
  return more;
}

std::string last_status(const notify_socket& manager) {
  std::string out;
  for (const auto& line : manager.lines())
    if (line.starts_with("STATUS="))
      out = line.substr(7);
  return out;
}

void write_config(const temp_dir& dir, const std::string& text) {
  std::ofstream{dir.path("config.toml")} << text;
}

} // namespace

TEST_CASE("flaw 7: start, reload and stop in the manager's words; no RELOADING at the start") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process service{dir.path(), with_manager(manager)};
  CHECK(manager.wait_for("READY=1"));
  CHECK(manager.states() == texts{"READY=1"});
  service.signal(SIGHUP);
  CHECK(manager.wait_for("READY=1", 2));
  CHECK(service.stop().code == 0);
  CHECK(manager.states()
        == texts{"READY=1", "RELOADING=1", "MONOTONIC_USEC", "READY=1", "STOPPING=1"});
  CHECK(last_status(manager) == "stopped: clean stop, ledger balanced");
  CHECK(manager.lines().back() == "BARRIER=1");
}

TEST_CASE("READY comes only when a request is served; the start tells what is up") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process service{dir.path(), with_manager(manager)};
  CHECK(manager.wait_for("READY=1"));
  CHECK(get(service.port(), "/health/ready").status == 200);
  bool ready = false;
  bool store_was_up = false;
  for (const auto& line : manager.lines()) {
    ready |= line == "READY=1";
    store_was_up |= !ready && line == "STATUS=starting: store is up";
  }
  CHECK(store_was_up);
  CHECK(manager.count("EXTEND_TIMEOUT_USEC=") >= 1); // an actor more is progress
  service.stop();
}

TEST_CASE("the status tells rate and queue, and in a stop who holds it") {
  REQUIRE(has_faults());
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process service{dir.path(),
                          with_manager(manager, {{"PHI_FAULTS", "store.release=block:2500"}})};
  {
    load clients{service.port(), "status", 2};
    CHECK(manager.wait_for("STATUS=ready: ", 3));
    std::this_thread::sleep_for(2500ms);
    auto text = last_status(manager);
    CHECK(text.find(" events/s, ") != text.npos);
    CHECK(text.find("ready: 0 events/s") == text.npos);
  }
  service.signal(SIGTERM);
  CHECK(manager.wait_for("STATUS=draining: store: "));
  CHECK(last_status(manager).find("to the deadline") != std::string::npos);
  CHECK(service.wait().code == 0);
}

TEST_CASE("a lame duck is no state of the manager: only its status changes") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process service{dir.path(), with_manager(manager)};
  service.signal(SIGUSR2);
  CHECK(manager.wait_for("STATUS=lame duck"));
  service.signal(SIGUSR2);
  CHECK(service.wait_for_log("is ready", 20s));
  service.stop();
  CHECK(manager.states() == texts{"READY=1", "STOPPING=1"});
}

TEST_CASE("a start that fails says why and never READY") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process taken{dir.path()};
  SUBCASE("the port is taken") {
    temp_dir other;
    service_process service{
      other.path(), with_manager(manager, {{"APP_SERVER_PORT", std::to_string(taken.port())}}),
      false};
    CHECK(service.wait().code == 1);
  }
  SUBCASE("another process has the state directory") {
    service_process service{dir.path(), with_manager(manager), false};
    CHECK(service.wait().code == 1);
    CHECK(last_status(manager).starts_with("cannot start: "));
  }
  CHECK(manager.count("READY=1") == 0);
  CHECK(manager.count("STOPPING=1") == 1);
}

TEST_CASE("signs of life come while all is well, stop when an actor is frozen, and name it") {
  REQUIRE(has_faults());
  for (const std::string who : {"store", "stats", "http", "reader", "supervisor"}) {
    CAPTURE(who);
    temp_dir dir;
    notify_socket manager{dir.path("notify")};
    service_process service{
      dir.path(),
      with_manager(manager, {{"WATCHDOG_USEC", "2000000"}, {"PHI_FAULTS", who + ".ping=block@4"}})};
    CHECK(manager.wait_for("WATCHDOG=1", 1)); // it answered at first
    CHECK(manager.wait_for("WATCHDOG=trigger"));
    CHECK(service.wait_for_log("finds an actor stuck stuck=" + who));
    CHECK(service.logged("dumps an actor seen=" + who + " doing=\"handling ping"));
    bool shown = false;
    for (const auto& line : manager.lines())
      shown |= line.find(who + " has not answered for") != line.npos;
    CHECK(shown);
    auto beats = manager.count("WATCHDOG=1");
    std::this_thread::sleep_for(1200ms);
    CHECK(manager.count("WATCHDOG=1") == beats);
    service.kill();
  }
}

TEST_CASE("a process that was paused for less than the limit is not given up") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process service{dir.path(), with_manager(manager, {{"WATCHDOG_USEC", "2000000"}})};
  CHECK(manager.wait_for("WATCHDOG=1", 2));
  service.signal(SIGSTOP);
  std::this_thread::sleep_for(1700ms);
  service.signal(SIGCONT);
  auto beats = manager.count("WATCHDOG=1");
  CHECK(manager.wait_for("WATCHDOG=1", beats + 3));
  CHECK(service.logged("stood still"));
  CHECK_FALSE(service.logged("misses an answer"));
  CHECK(manager.count("WATCHDOG=trigger") == 0);
  CHECK(service.stop().code == 0);
}

TEST_CASE("a manager that never reads holds nobody up") {
  temp_dir dir;
  notify_socket manager{dir.path("notify"), false};
  service_process service{dir.path(), with_manager(manager, {{"WATCHDOG_USEC", "200000"}})};
  std::this_thread::sleep_for(4s); // more signs of life than its queue holds
  CHECK(get(service.port(), "/health/ready").status == 200);
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 2s);
}

TEST_CASE("reload under load: no request fails, the last of three quick ones wins") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  write_config(dir, "[server]\nmax_body_bytes = 100000\n");
  service_process service{dir.path(), with_manager(manager), true, dir.path("config.toml")};
  auto port = service.port();
  std::string big = R"({"feature":"f","action":")" + std::string(3000, 'x') + R"("})";
  CHECK(post(port, "/api/v1/events", big).status == 400); // too long a text, not too large a body
  load clients{port, "load", 8};
  for (int i = 1; i <= 3; ++i) {
    write_config(dir, "[server]\nmax_body_bytes = " + std::to_string(4000 - 500 * i)
                        + "\n[logging]\nlevel = \"debug\"\n");
    service.signal(SIGHUP);
    std::this_thread::sleep_for(1ms);
  }
  CHECK(manager.wait_for("READY=1", 2));
  CHECK(service.wait_for_log("max_body_bytes: "));
  std::this_thread::sleep_for(300ms);
  auto seen = clients.finish();
  CHECK(seen.acknowledged.size() > 0);
  CHECK(seen.refused.empty());
  CHECK(seen.other_answers == 0);
  CHECK(seen.resets_after_send == 0);
  CHECK(post(port, "/api/v1/events", big).status == 413); // 2500, from the last file
  CHECK(post(port, "/api/v1/events", std::string(2400, ' ')).status != 413);
  CHECK(service.stop().code == 0);
}

TEST_CASE("a broken file changes nothing and says what is wrong; what needs a restart is listed") {
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  write_config(dir, "[server]\nmax_body_bytes = 1000\n");
  service_process service{dir.path(), with_manager(manager), true, dir.path("config.toml")};
  write_config(dir, "[server]\nmax_body_bytes = 50\nmax_bdy_bytes = 1\n");
  service.signal(SIGHUP);
  CHECK(manager.wait_for("READY=1", 2));
  CHECK(service.wait_for_log("keeps its settings: " + dir.path("config.toml") + ":3"));
  CHECK(service.logged("did you mean server.max_body_bytes?"));
  CHECK(post(service.port(), "/api/v1/events", std::string(900, ' ')).status == 400);
  write_config(dir, "[server]\nmax_body_bytes = 500\nthreads = 4\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_log("needs a restart for a setting"));
  CHECK(service.logged("server.threads: 1 -> 4"));
  CHECK(manager.wait_for("READY=1", 3));
  CHECK(post(service.port(), "/api/v1/events", std::string(900, ' ')).status == 413);
  CHECK(service.stop().code == 0);
}

TEST_CASE("the watchdog stays armed in a stop: it names who does not answer") {
  REQUIRE(has_faults());
  temp_dir dir;
  notify_socket manager{dir.path("notify")};
  service_process service{dir.path(),
                          with_manager(manager, {{"WATCHDOG_USEC", "2000000"},
                                                 {"PHI_FAULTS", "store.release=block"},
                                                 {"APP_SHUTDOWN_TIMEOUT_SECS", "4"},
                                                 {"APP_SHUTDOWN_FORCE_DELAY_SECS", "0"}})};
  service.signal(SIGTERM);
  CHECK(service.wait().code == 81);
  CHECK(service.logged("misses an answer late=store"));
  CHECK(service.logged("finds an actor stuck stuck=store"));
}

TEST_CASE("a reload changes origins, the shape of the log, and the interval of flushes") {
  temp_dir dir;
  write_config(dir, "");
  service_process service{dir.path(), {}, true, dir.path("config.toml")};
  auto origin = [&] {
    return get(service.port(), "/health/live", "Origin: https://example.org\r\n")
      .headers.contains("access-control-allow-origin");
  };
  CHECK_FALSE(origin());
  write_config(dir, "[cors]\nallowed_origins = [\"https://example.org\"]\n[logging]\n"
                    "format = \"json\"\n[stats]\nflush_interval_ms = 5000\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_log("\"message\":\"has reloaded\""));
  CHECK(origin());
  // The record of that request waits for the new interval: nobody waits for it.
  post(service.port(), "/api/v1/events", R"({"feature":"f"})");
  std::this_thread::sleep_for(700ms);
  CHECK(get(service.port(), "/health").body.find("\"inQueue\":0") == std::string::npos);
  CHECK(service.stop().code == 0);
}

TEST_CASE("a reload changes token, log level and deadlines") {
  temp_dir dir;
  write_config(dir, "");
  service_process service{dir.path(), {}, true, dir.path("config.toml")};
  auto ask = [&](const std::string& header) {
    return get(service.port(), "/api/v1/stats/summary", header).status;
  };
  CHECK(ask("") == 200);
  CHECK_FALSE(service.logged("debug"));
  write_config(dir, "[auth]\ntoken = \"s3cret-s3cret\"\n[logging]\nlevel = \"debug\"\n"
                    "[shutdown]\ntimeout_secs = 3\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_log("has reloaded"));
  CHECK(ask("") == 401);
  CHECK(ask("Authorization: Bearer s3cret-s3cret\r\n") == 200);
  CHECK_FALSE(service.logged("s3cret"));
  CHECK(service.stop().code == 0);
}
