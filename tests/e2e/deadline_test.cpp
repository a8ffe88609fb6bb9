// Drills on the real process: the clock of a stop, and who is blamed when it is used up.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/service_process.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <sys/socket.h>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

namespace {

const std::string one_event = R"({"feature":"f","action":"a"})";

/// How late the end may come on a busy machine; tools/bench measures it exactly.
constexpr auto lateness = 250.0;

/// Asks for large answers, one rejection a line, and never reads them.
std::thread send_without_reading(http_client& deaf) {
  int small = 2048;
  ::setsockopt(deaf.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  return std::thread{[&deaf] {
    std::string bad;
    for (int i = 0; i < 9000; ++i)
      bad += "{\"feture\":1}\n";
    auto request = "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
                   "application/x-ndjson\r\nContent-Length: "
                   + std::to_string(bad.size()) + "\r\n\r\n" + bad;
    for (int i = 0; i < 20 && deaf.send(request); ++i) {
    }
  }};
}

} // namespace

TEST_CASE("default deadlines, to their end: a store that needs 25 s, one that never ends, a client "
          "that does not read") {
  REQUIRE(has_faults());
  temp_dir slow_dir;
  temp_dir stuck_dir;
  temp_dir deaf_dir;
  service_process slow{slow_dir.path(), {{"PHI_FAULTS", "store.release=block:25000"}}};
  service_process stuck{stuck_dir.path(), {{"PHI_FAULTS", "store.release=block"}}};
  service_process held{deaf_dir.path()};
  http_client deaf{held.port()};
  auto pushing = send_without_reading(deaf);
  std::this_thread::sleep_for(500ms);
  ended slow_end;
  ended stuck_end;
  ended held_end;
  std::thread first([&] { slow_end = slow.stop(); });
  std::thread second([&] { stuck_end = stuck.stop(); });
  std::thread third([&] { held_end = held.stop(); });
  for (auto* one : {&third, &first, &second, &pushing})
    one->join();

  CHECK(slow_end.code == 0);
  auto report = json::parse(slow.last_exit());
  CHECK(report["tookMs"] >= 25'000.0);
  CHECK(report["tookMs"] < 25'000.0 + lateness);
  CHECK(report["heldBy"]["who"] == "store");
  CHECK(report["heldBy"]["work"] == "close_database");

  CHECK(stuck_end.code == 81);
  CHECK(stuck_end.took >= 40'000ms);
  report = json::parse(stuck.last_exit());
  CHECK(report["tookMs"] >= 40'000.0);
  CHECK(report["tookMs"] < 40'000.0 + lateness);
  CHECK(report["heldBy"]["who"] == "store");
  CHECK(has(report["heldBy"]["what"], "closing the database for 4")); // 40.0 s
  CHECK(stuck.logged(" past the deadline, 9."));

  CHECK(held_end.code == 0);
  report = json::parse(held.last_exit());
  // The time-out for clients that do not read (10 s, begun before the signal), or the budget of
  // http (12 s) and what it takes to end a connection: soft limits, unlike the others.
  CHECK(report["tookMs"] >= 9'000.0);
  CHECK(report["tookMs"] < 13'000.0);
  CHECK(has(report["heldBy"]["who"], "client 127.0.0.1:"));
  CHECK(has(report["heldBy"]["who"], "which has not read its answer"));
  CHECK(has(report["blame"], "http waited"));
  CHECK(held.logged("waits for client 127.0.0.1:"));
}

TEST_CASE("a COMMIT that hangs is what a forced exit names, with the ledger, and not who waits") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "store.commit=block@2"},
                           {"APP_STATS_DURABILITY", "queued"},
                           {"APP_STATS_FLUSH_INTERVAL_MS", "10"},
                           {"APP_STATS_TRACK_REQUESTS", "false"},
                           {"APP_SHUTDOWN_TIMEOUT_SECS", "2"},
                           {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}}};
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  std::this_thread::sleep_for(300ms); // committed
  for (int i = 0; i < 5; ++i) {
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    std::this_thread::sleep_for(50ms);
  }
  auto end = service.stop();
  CHECK(end.code == 81);
  CHECK(end.took >= 3000ms);
  CHECK(service.logged("stats holds the exit past the deadline"));
  CHECK(service.logged("; it waits for store for "));
  CHECK_FALSE(service.logged("kills an actor actor=stats"));
  auto report = json::parse(service.last_exit());
  CHECK(report["tookMs"] >= 3000.0);
  CHECK(report["tookMs"] < 3000.0 + lateness);
  CHECK(report["heldBy"]["who"] == "store");
  CHECK(has(report["heldBy"]["what"], "COMMIT for 3"));
  CHECK(has(report["blame"], "stats waits for store for 3"));
  CHECK(has(report["blame"], "; store in COMMIT for 3"));
  CHECK(report["ledger"]["received"] == 6);
  CHECK(report["ledger"]["stored"] == 1);
  CHECK(report["ledger"]["inQueue"] == 5);
  auto advice = run_program({phictl(), "last-exit", "--explain", "--state-dir", dir.path()});
  CHECK(advice.code == 81);
  CHECK(has(advice.out, "store was in COMMIT for 3"));
  CHECK_FALSE(has(advice.out, "http_budget_percent"));
  CHECK_FALSE(has(advice.out, "stats_budget_percent"));
}

TEST_CASE("http blames who really has its requests: the reader, stats, or the client") {
  REQUIRE(has_faults());
  {
    temp_dir dir;
    service_process service{dir.path(), {{"PHI_FAULTS", "reader.ask=block:1500"}}};
    std::thread asking([&] { get(service.port(), "/api/v1/stats/summary"); });
    std::this_thread::sleep_for(300ms);
    CHECK(service.stop().code == 0);
    asking.join();
    auto report = json::parse(service.last_exit());
    CHECK(has(report["blame"], "http waited 1."));
    CHECK(has(report["blame"], " s for reader"));
    CHECK_FALSE(has(report["blame"], "for stats"));
    CHECK(report["heldBy"]["who"] == "reader");
  }
  {
    temp_dir dir;
    service_process service{dir.path(), {{"PHI_FAULTS", "store.commit=block:1500"}}};
    std::thread sending([&] { post(service.port(), "/api/v1/events", one_event); });
    std::this_thread::sleep_for(300ms);
    CHECK(service.stop().code == 0);
    sending.join();
    auto report = json::parse(service.last_exit());
    CHECK(has(report["blame"], " s for stats"));
    CHECK_FALSE(has(report["blame"], "for reader"));
    CHECK(report["heldBy"]["who"] == "store"); // by way of stats
    CHECK(report["heldBy"]["work"] == "commit");
  }
  {
    temp_dir dir;
    service_process service{dir.path()};
    http_client slow{service.port()};
    slow.send("POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
              "Content-Length: 100\r\n\r\n{");
    std::this_thread::sleep_for(200ms);
    CHECK(service.stop().code == 0);
    auto report = json::parse(service.last_exit());
    CHECK(has(report["heldBy"]["who"], "client 127.0.0.1:"));
    CHECK(has(report["heldBy"]["who"], "owes the rest of its request"));
    CHECK_FALSE(has(report["blame"], "for stats"));
  }
}
