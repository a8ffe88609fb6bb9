// The health of the whole, real work that takes long, and questions that nobody waits for.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <filesystem>
#include <memory>
#include <sys/socket.h>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;
using steady = std::chrono::steady_clock;

namespace {

const std::string one_event = R"({"feature":"f","action":"a"})";

/// Looks until it holds, `limit` at most.
template <class Condition>
bool soon(std::chrono::milliseconds limit, Condition holds) {
  for (auto until = steady::now() + limit; steady::now() < until; std::this_thread::sleep_for(50ms))
    if (holds())
      return true;
  return holds();
}

settings strict_watchdog(settings more) {
  more.insert({{"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
               {"APP_SHUTDOWN_WATCHDOG_INTERVAL_SECS", "2"},
               {"APP_SHUTDOWN_WATCHDOG_TIMEOUT_SECS", "9"},
               {"APP_SHUTDOWN_WATCHDOG_ABORT", "true"}});
  return more;
}

/// A question over a year, of which each look of its watch takes a while.
void ask_and_leave(uint16_t port) {
  http_client client{port};
  client.send("GET /api/v1/stats/daily?start=2026-01-01&end=2026-12-31 HTTP/1.1\r\n"
              "Host: x\r\n\r\n");
}

size_t copies_in(const std::string& dir) {
  size_t out = 0;
  for (const auto& file : std::filesystem::directory_iterator{dir})
    out += file.path().string().find("backup-") != std::string::npos;
  return out;
}

} // namespace

TEST_CASE("a frozen event loop and a hung commit are seen by everybody who asks; a healthy service "
          "beside them stays healthy") {
  REQUIRE(has_faults());
  temp_dir frozen_dir;
  temp_dir hung_dir;
  temp_dir well_dir;
  service_process well{well_dir.path(), strict_watchdog({})};
  service_process hung{hung_dir.path(),
                       strict_watchdog({{"PHI_FAULTS", "store.before_commit=block"},
                                        {"APP_SHUTDOWN_WATCHDOG_ABORT", "false"}})};
  service_process frozen{frozen_dir.path(), strict_watchdog({{"PHI_FAULTS", "http.loop=block@6"}})};
  CHECK(ctl(hung_dir, {"health"}).code == 0);
  CHECK(get(hung.port(), "/health/ready").status == 200);
  std::thread sender{[&] { post(hung.port(), "/api/v1/events", one_event); }};
  CHECK(frozen.wait_for_log("cause=\"event loop 1: has not answered"));
  auto told = ctl(frozen_dir, {"health"});
  CHECK(told.code == 1);
  CHECK(has(told.out, "degraded: the service is ready"));
  CHECK(has(told.out, "event loop 1: has not answered for"));
  CHECK(has(ctl(frozen_dir, {"doctor"}).out, "event loop 1"));
  CHECK(soon(15s, [&] { return get(hung.port(), "/health/ready").status == 503; }));
  auto seen = json::parse(get(hung.port(), "/health").body);
  CHECK(seen["status"] == "degraded");
  INFO(seen.dump());
  CHECK(has(seen["causes"].dump(), "has not answered for")); // stats sees it first, or the watchdog
  CHECK(seen["ledger"]["balanced"] == true);
  CHECK(ctl(hung_dir, {"health"}).code == 1);
  CHECK(frozen.wait(40s).signal == SIGABRT);
  CHECK(frozen.logged("stuck=\"event loop 1\""));
  CHECK(ctl(well_dir, {"health"}).out == "healthy: the service is ready\n");
  CHECK(json::parse(get(well.port(), "/health").body)["causes"].empty());
  CHECK_FALSE(well.logged("degraded"));
  CHECK(well.stop().code == 0);
  hung.kill();
  sender.join();
}

TEST_CASE("a full disk: not ready and degraded while events are refused, and well again, without "
          "anybody sending, when there is room"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  small_disk disk{dir.path("disk"), "3m"};
  service_process service{
    dir.path(),
    {{"APP_STATS_SQLITE_PATH", dir.path("disk/phi.db")}, {"APP_STATS_TRACK_REQUESTS", "false"}}};
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  CHECK(get(service.port(), "/health/ready").status == 200);
  disk.fill();
  std::string events = "[";
  for (int i = 0; i < 3000; ++i)
    events += (i ? "," : "") + one_event;
  CHECK(
    soon(10s, [&] { return post(service.port(), "/api/v1/events", events + "]").status == 503; }));
  CHECK(soon(5s, [&] { return get(service.port(), "/health/ready").status == 503; }));
  CHECK(json::parse(get(service.port(), "/health").body)["status"] == "degraded");
  CHECK(ctl(dir, {"health"}).code == 1);
  disk.clear();
  CHECK(soon(10s, [&] { return get(service.port(), "/health/ready").status == 200; }));
  CHECK(soon(5s, [&] { return ctl(dir, {"health"}).code == 0; }));
  CHECK(service.logged("is no longer refused by the store"));
  CHECK(service.logged("finds the service well again"));
  CHECK(service.stop().code == 0);
}

TEST_CASE("60 abandoned questions: the next one is answered at once, and nothing is done for "
          "those who have gone") {
  REQUIRE(has_faults());
  temp_dir dir;
  // Each look of a question's watch takes 100 ms, the whole year a multiple of it.
  service_process service{dir.path(), {{"PHI_FAULTS", "reader.check=block:100"}}};
  for (int i = 0; i < 60; ++i)
    ask_and_leave(service.port());
  std::this_thread::sleep_for(1s);
  auto began = steady::now();
  auto answer = get(service.port(), "/api/v1/stats/summary?start=2026-01-01&end=2026-01-01");
  CHECK(answer.status == 200);
  CHECK(steady::now() - began < 8s); // one look each; their answers would take far longer
  CHECK(service.stop().code == 0);
}

TEST_CASE("a long question does not hold a stop: it is answered 503, and the exit is clean") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "reader.check=block:700"}}};
  http_client waits{service.port()};
  waits.send("GET /api/v1/stats/daily?start=2026-01-01&end=2026-12-31 HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(1100ms);
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 3s);
  CHECK(waits.read().status == 503);
}

TEST_CASE("more questions than may wait: refused with the reason, and the others are answered") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "reader.ask=block:20"}}};
  std::vector<std::unique_ptr<http_client>> askers;
  for (int i = 0; i < 300; ++i) {
    askers.push_back(std::make_unique<http_client>(service.port()));
    askers.back()->send("GET /api/v1/stats/summary HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  int answered = 0;
  int refused = 0;
  for (auto& asker : askers) {
    auto answer = asker->read();
    answered += answer.status == 200;
    if (answer.status == 503 && has(answer.body, "too_many_questions")) {
      ++refused;
      CHECK(answer.headers.contains("retry-after"));
    }
  }
  CHECK(answered + refused == 300);
  CHECK(answered >= 256);
  CHECK(refused > 0);
  CHECK(service.stop().code == 0);
}

TEST_CASE("a check and a backup longer than the watchdog's and the admin socket's limits: alive, "
          "not in the way, whole; one whose asker goes, or that a stop meets, leaves nothing") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), strict_watchdog({{"APP_STATS_TRACK_REQUESTS", "false"}})};
  std::string events = "[";
  for (int i = 0; i < 5000; ++i)
    events += (i ? "," : "") + one_event;
  for (int i = 0; i < 4; ++i)
    CHECK(post(service.port(), "/api/v1/events", events + "]").status == 200);
  CHECK(service.stop().code == 0);
  // Every look takes 70 ms: to check 20 000 events takes more than half a minute.
  service_process slow{dir.path(), strict_watchdog({{"PHI_FAULTS", "inspector.check=block:70"},
                                                    {"APP_STATS_TRACK_REQUESTS", "false"}})};
  auto began = steady::now();
  auto verified = std::make_shared<program_result>();
  std::thread asker{[&] { *verified = ctl(dir, {"--json", "verify"}); }};
  while (steady::now() - began < 31s) {
    CHECK(get(slow.port(), "/api/v1/stats/summary").status == 200);
    CHECK(ctl(dir, {"health"}).code == 0);
    std::this_thread::sleep_for(1s);
  }
  asker.join();
  CHECK(json::parse(verified->out)["ok"] == true);
  CHECK_FALSE(slow.logged("stuck"));
  // Its asker goes.
  shell("timeout 1 " + phictl() + " --socket " + dir.path("admin.sock") + " backup "
        + dir.path("gone.db"));
  CHECK(soon(5s, [&] { return copies_in(dir.path()) == 0; }));
  // A stop meets it.
  std::thread copier{[&] { ctl(dir, {"backup", dir.path("late.db")}); }};
  CHECK(soon(5s, [&] { return copies_in(dir.path()) > 0; }));
  auto end = slow.stop();
  copier.join();
  CHECK(end.code == 0);
  CHECK(end.took < 2s);
  CHECK(copies_in(dir.path()) == 0);
  CHECK_FALSE(std::filesystem::exists(dir.path("late.db")));
}
