// Drills on the real process: how it stops, and that nothing acknowledged is lost.

#include "tests/support/doctest.hpp"
#include "tests/support/exactly_once.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/service_process.hpp"

#include <atomic>
#include <csignal>
#include <string>
#include <sys/socket.h>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

int repetitions() {
  return has_sanitizer() ? 5 : 20;
}

/// A person presses again after this; what comes sooner counts as the same wish.
constexpr auto a_press = 250ms;

const std::string one_event = R"({"feature":"f","action":"a"})";

/// The seconds that a log tells between `before` and `after`; -1: it does not.
double blamed_seconds(const std::string& log, const std::string& before, const std::string& after) {
  auto at = log.find(before);
  if (at == log.npos)
    return -1;
  size_t digits = 0;
  auto rest = log.substr(at + before.size(), 20);
  auto seconds = std::stod(rest, &digits);
  return rest.substr(digits).starts_with(after.substr(0, 10)) ? seconds : -1;
}

/// On a busy machine the first answer may take a while.
void wait_for_acknowledgement(const load& clients) {
  for (int i = 0; i < 10'000 && clients.acknowledged_so_far() == 0; ++i)
    std::this_thread::sleep_for(1ms);
}

} // namespace

TEST_CASE("an idle service stops in milliseconds with code 0 and a report") {
  temp_dir dir;
  service_process service{dir.path()};
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 1s); // no fixed sleeps; tools/bench measures it exactly
  CHECK(service.logged("clean stop, ledger balanced"));
  CHECK(service.last_exit().find("\"exitCode\": 0") != std::string::npos);
  CHECK(service.last_exit().find("\"reason\": \"terminate\"") != std::string::npos);
}

TEST_CASE("flaw 1: stop under load, what was acknowledged is stored, each once") {
  for (int i = 0; i < repetitions(); ++i) {
    CAPTURE(i);
    temp_dir dir;
    service_process service{dir.path()};
    load clients{service.port(), "load", 8, i % 2 == 0 ? 1 : 50};
    std::this_thread::sleep_for(std::chrono::milliseconds{50 + 17 * i});
    wait_for_acknowledgement(clients);
    auto end = service.stop();
    auto seen = clients.finish();
    CHECK(end.code == 0);
    CHECK(seen.other_answers == 0);
    CHECK(seen.resets_after_send == 0);
    check_exactly_once(in_file(service.database()), seen);
    check_nothing_else(in_file(service.database()), seen);
  }
}

TEST_CASE("kill -9 under load and restart: what was acknowledged is stored, none twice") {
  for (int i = 0; i < repetitions(); ++i) {
    CAPTURE(i);
    temp_dir dir;
    service_process service{dir.path()};
    load clients{service.port(), "load", 8, i % 2 == 0 ? 1 : 50};
    std::this_thread::sleep_for(std::chrono::milliseconds{30 + 13 * i});
    wait_for_acknowledgement(clients);
    service.kill();
    auto seen = clients.finish();
    service_process again{dir.path()};
    CHECK(again.logged("ended without a report"));
    CHECK(again.stop().code == 0);
    check_exactly_once(in_file(again.database()), seen);
  }
}

TEST_CASE("a kill right before and right after COMMIT loses nothing acknowledged") {
  REQUIRE(has_faults());
  for (auto where : {"store.before_commit=kill@3", "store.committed=kill@3"}) {
    CAPTURE(where);
    temp_dir dir;
    service_process service{dir.path(), {{"PHI_FAULTS", where}}};
    load clients{service.port(), "load", 4};
    auto end = service.wait();
    auto seen = clients.finish();
    CHECK(end.signal == SIGKILL);
    service_process again{dir.path()};
    CHECK(again.stop().code == 0);
    check_exactly_once(in_file(again.database()), seen);
  }
}

TEST_CASE("events sent again after a crash are counted once") {
  temp_dir dir;
  std::string body = R"({"feature":"f","action":"a","id":"same"})";
  {
    service_process service{dir.path()};
    CHECK(post(service.port(), "/api/v1/events", body).body.find("\"stored\":1")
          != std::string::npos);
    service.kill();
  }
  service_process service{dir.path()};
  CHECK(post(service.port(), "/api/v1/events", body).body.find("\"duplicates\":1")
        != std::string::npos);
  service.stop();
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 1);
}

TEST_CASE("flaw 2: stuck actors are forced out at the hard deadline, never earlier, with code 81") {
  REQUIRE(has_faults());
  // spinning and blocked; before release, at release, in work; the supervisor itself
  for (auto fault : {"stats.release=spin", "store.release=block", "reader.release=spin",
                     "http.stop=block", "admin.release=block", "watchdog.release=spin",
                     "signal.release=block", "supervisor.tick=block"}) {
    CAPTURE(fault);
    temp_dir dir;
    service_process service{
      dir.path(),
      {{"PHI_FAULTS", fault},
       {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
       {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"},
       {"APP_SERVER_DRAIN_DELAY_MS", std::string{fault}.starts_with("supervisor") ? "100" : "0"}}};
    auto end = service.stop();
    CHECK(end.code == 81);
    CHECK(end.took >= 2000ms);
    CHECK(end.took < 4s); // the exact lateness is measured in tools/bench
    CHECK(service.logged("is forced to leave"));
    CHECK(service.last_exit().find("\"exitCode\": 81") != std::string::npos);
    auto culprit = std::string{fault}.substr(0, std::string{fault}.find('.'));
    if (culprit != "supervisor")
      CHECK(service.log().find(culprit + " (", service.log().find("is forced to leave"))
            != std::string::npos);
  }
}

TEST_CASE("flaw 2: all actors at once stuck, both pool threads spinning: still forced out") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{
    dir.path(),
    {{"PHI_FAULTS",
      "http.stop=spin,stats.stop=spin,store.stop=spin,reader.stop=block,admin.stop=spin"},
     {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
     {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}}};
  auto end = service.stop();
  CHECK(end.code == 81);
  CHECK(end.took >= 2000ms);
  CHECK(end.took < 5s);
}

TEST_CASE("an actor stuck only for a while ends the stop late but clean, and is blamed") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "store.release=block:1500"}}};
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took >= 1490ms);
  CHECK(service.logged("draining: store"));
  // For as long as it was stuck, and no longer than the stop took.
  double waited = blamed_seconds(service.log(), "store waited ", " s for the database to close");
  CHECK(waited >= 1.5);
  CHECK(waited <= std::chrono::duration<double>(end.took).count() + 0.05);
}

TEST_CASE("force_quit = false waits without limit, and a third signal still ends it") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "store.release=block"},
                           {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
                           {"APP_SHUTDOWN_FORCE_QUIT", "false"}}};
  service.signal(SIGTERM);
  std::this_thread::sleep_for(2500ms);
  CHECK(service.running());
  CHECK(service.logged("past the deadline"));
  service.signal(SIGTERM);
  std::this_thread::sleep_for(a_press);
  service.signal(SIGTERM);
  CHECK(service.wait(5s).code == 82);
}

TEST_CASE("flaw 5: the second signal makes the stop fast, the third ends it at once with code 82") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "store.release=spin,stats.stop=spin"}}};
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("begins to stop"));
  CHECK(service.wait_for_log("another stop signal makes the stop fast, a third ends the process"));
  std::this_thread::sleep_for(a_press);
  service.signal(SIGINT);
  CHECK(service.wait_for_log("escalates the stop"));
  CHECK(service.logged("another stop signal ends the process at once"));
  std::this_thread::sleep_for(a_press);
  service.signal(SIGTERM);
  auto end = service.wait(5s);
  CHECK(end.code == 82);
  CHECK(end.took < 1s);
  CHECK(service.last_exit().find("user_forced") != std::string::npos);
}

TEST_CASE("flaw 5: the third signal ends it although every thread of the pool spins") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(),
                          {{"PHI_FAULTS", "http.stop=spin,stats.stop=spin,admin.stop=spin"}}};
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("begins to stop"));
  std::this_thread::sleep_for(a_press); // now nobody is left to hear them but their thread
  service.signal(SIGINT);
  std::this_thread::sleep_for(a_press);
  service.signal(SIGTERM);
  auto end = service.wait(5s);
  CHECK(end.code == 82);
  CHECK(end.took < 1s);
}

TEST_CASE(
  "SIGQUIT stops fast; SIGUSR1 dumps the state; SIGUSR2 is the lame duck; SIGHUP does not kill") {
  temp_dir dir;
  service_process service{dir.path()};
  service.signal(SIGUSR1);
  CHECK(service.wait_for_log("dumps the ledger"));
  CHECK(get(service.port(), "/health/ready").status == 200);
  service.signal(SIGUSR2);
  CHECK(service.wait_for_log("is lame duck"));
  CHECK(get(service.port(), "/health/ready").status == 503);
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  service.signal(SIGUSR2);
  CHECK(service.wait_for_log("supervisor is ready\n", 1s));
  service.signal(SIGHUP);
  CHECK(service.wait_for_log("has reloaded"));
  service.signal(SIGQUIT);
  CHECK(service.wait().code == 0);
  CHECK(service.logged("mode=fast"));
  CHECK(service.last_exit().find("\"reason\": \"quit\"") != std::string::npos);
}

TEST_CASE("flaw 4: a slow-loris client does not hold the stop, and is told 408") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_SERVER_PARTIAL_GRACE_MS", "300"}}};
  http_client loris{service.port()};
  loris.send("POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
             "application/json\r\nContent-Length: 100\r\n\r\n{\"fe");
  std::atomic<bool> done{false};
  std::thread dripping([&] {
    for (int i = 0; i < 300 && !done; ++i) {
      std::this_thread::sleep_for(20ms);
      loris.send("a");
    }
  });
  std::this_thread::sleep_for(100ms);
  auto end = service.stop();
  done = true;
  dripping.join();
  CHECK(end.code == 0);
  CHECK(end.took < 3s);
  CHECK(loris.read(1s).status == 408);
}

TEST_CASE(
  "a request half received at the signal and completed in its grace is answered, then closed") {
  temp_dir dir;
  service_process service{dir.path()};
  http_client client{service.port()};
  client.send("POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
              "application/json\r\nContent-Length: 28\r\n\r\n{\"feature\":\"f\"");
  std::this_thread::sleep_for(50ms);
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("begins to stop"));
  std::this_thread::sleep_for(200ms);
  client.send(",\"action\":\"a\"}");
  auto answer = client.read();
  CHECK(answer.status == 200);
  CHECK(answer.closes());
  CHECK(service.wait().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 1);
}

TEST_CASE("an idle keep-alive client may send one more request, answered with Connection: close") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_SERVER_KEEPALIVE_GRACE_MS", "500"}}};
  http_client busy{service.port()};
  http_client idle{service.port()};
  CHECK_FALSE(busy.post("/api/v1/events", one_event).closes());
  CHECK_FALSE(idle.post("/api/v1/events", one_event).closes());
  service.signal(SIGTERM);
  CHECK(service.wait_for_log("begins to stop"));
  auto last = busy.post("/api/v1/events", one_event);
  CHECK(last.status == 200);
  CHECK(last.closes());
  CHECK(idle.ended());
  CHECK(service.wait().code == 0);
  CHECK_FALSE(http_client{service.port()}.connected()); // refused, not accepted and dropped
}

TEST_CASE("a client that never reads does not hold the stop") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_SERVER_WRITE_TIMEOUT_MS", "500"}}};
  http_client deaf{service.port()};
  int small = 2048;
  ::setsockopt(deaf.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  std::string bad; // a large answer: one rejection a line
  for (int i = 0; i < 9000; ++i)
    bad += "{\"feture\":1}\n";
  std::thread pushing([&] {
    for (int i = 0; i < 20; ++i)
      if (!deaf.send("POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
                     "application/x-ndjson\r\nContent-Length: "
                     + std::to_string(bad.size()) + "\r\n\r\n" + bad))
        break;
  });
  std::this_thread::sleep_for(300ms);
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(end.took < 8s);
  pushing.join();
}

TEST_CASE("requests that wait for the store at the signal are answered") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "store.commit=block:700@2"}}};
  post(service.port(), "/api/v1/events", one_event);
  http_client client{service.port()};
  std::thread waiting([&] {
    auto answer = client.post("/api/v1/events", one_event);
    CHECK(answer.status == 200);
    CHECK(answer.closes());
  });
  std::this_thread::sleep_for(200ms);
  auto end = service.stop();
  waiting.join();
  CHECK(end.code == 0);
  CHECK(service.logged("http waited"));
}

TEST_CASE(
  "a fast stop answers 503 to what the store has not begun to commit, and stores none of it") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{
    dir.path(), {{"PHI_FAULTS", "store.commit=block:1500"}, {"APP_STATS_TRACK_REQUESTS", "false"}}};
  http_client client{service.port()};
  std::thread waiting([&] { CHECK(client.post("/api/v1/events", one_event).status == 503); });
  std::this_thread::sleep_for(200ms);
  service.signal(SIGQUIT);
  auto end = service.wait();
  waiting.join();
  CHECK(end.code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 0);
}

TEST_CASE("a stop signal while starting ends the start") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), {{"PHI_FAULTS", "store.open=block:500"}}, false};
  CHECK(service.wait_for_log("supervisor starts"));
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK_FALSE(service.logged("supervisor is ready"));
}

TEST_CASE("an actor that cannot start in time is named: code 1") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{
    dir.path(),
    {{"PHI_FAULTS", "store.open=block:3000"}, {"APP_SHUTDOWN_START_TIMEOUT_SECS", "1"}},
    false};
  auto end = service.wait();
  CHECK(end.code == 1);
  CHECK(service.logged("store did not start within 1.0 s"));
}

TEST_CASE(
  "an actor that dies is restarted, what it had in hand is not lost, and the service goes on") {
  REQUIRE(has_faults());
  for (auto [fault, actor] :
       {std::pair{"store.commit=throw@2*1", "store"}, std::pair{"reader.ask=throw@1*1", "reader"},
        std::pair{"store.committed=throw@2*1", "store"}}) {
    CAPTURE(fault);
    temp_dir dir;
    service_process service{dir.path(), {{"PHI_FAULTS", fault}}};
    load clients{service.port(), "load", 2};
    wait_for_acknowledgement(clients);
    get(service.port(), "/api/v1/stats/summary");
    CHECK(
      service.wait_for_log(std::string{"starts an actor again actor="} + actor + " restarts=1"));
    auto seen = clients.finish();
    CHECK(service.logged(std::string{"loses an actor actor="} + actor));
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    CHECK(get(service.port(), "/api/v1/stats/summary").status == 200);
    CHECK(service.stop().code == 0);
    CHECK_FALSE(service.logged("restarts=2"));
    check_exactly_once(in_file(service.database()), seen);
  }
}

TEST_CASE("an actor that dies again and again ends the service with code 80") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{
    dir.path(), {{"PHI_FAULTS", "reader.ask=throw"}, {"APP_SHUTDOWN_RESTART_LIMIT", "2"}}};
  for (int i = 0; i < 200 && service.running(); ++i) {
    get(service.port(), "/api/v1/stats/summary");
    std::this_thread::sleep_for(20ms);
  }
  CHECK(service.wait().code == 80);
  CHECK(service.logged("starts an actor again actor=reader restarts=2"));
  CHECK_FALSE(service.logged("restarts=3"));
  CHECK(service.last_exit().find("\"reason\": \"child_died\"") != std::string::npos);
  CHECK(service.last_exit().find("reader: exception: injected fault") != std::string::npos);
}

TEST_CASE("flaw 16: every way to end has its exit code") {
  temp_dir dir;
  service_process first{dir.path()};
  SUBCASE("1: the port is taken") {
    temp_dir other;
    service_process second{
      other.path(), {{"APP_SERVER_PORT", std::to_string(first.port())}}, false};
    CHECK(second.wait().code == 1);
    CHECK(second.logged("another program uses the port"));
    CHECK(second.last_exit().find("startup_failed") != std::string::npos);
  }
  SUBCASE("1: the state directory is taken") {
    service_process second{dir.path(), {}, false};
    CHECK(second.wait().code == 1);
    CHECK(second.logged("another phi-backend uses the state directory"));
  }
  SUBCASE("1: the database is no database") {
    temp_dir other;
    std::string file = other.path("phi.db");
    run_program({"/bin/sh", "-c", "echo this is not a database, just text > " + file});
    service_process second{other.path(), {}, false};
    CHECK(second.wait().code == 1);
    CHECK(second.logged("not a database"));
    CHECK(read_file(file).starts_with("this is not a database")); // untouched
  }
  SUBCASE("2: a setting is wrong") {
    temp_dir other;
    service_process second{other.path(), {{"APP_SERVER_PORT", "many"}}, false};
    CHECK(second.wait().code == 2);
    CHECK(second.logged("APP_SERVER_PORT"));
  }
  CHECK(first.stop().code == 0);
}

TEST_CASE("a flood of requests for a dump in the stop: each actor's report is heard, code 0") {
  for (int i = 0; i < 5; ++i) {
    temp_dir dir;
    service_process service{dir.path()};
    std::atomic<bool> over{false};
    std::thread flood{[&] {
      while (!over)
        service.signal(SIGUSR1);
    }};
    std::this_thread::sleep_for(100ms);
    service.signal(SIGTERM);
    CHECK(service.wait_for_log("begins to stop"));
    CHECK(service.wait_for_log("is stopped"));
    over = true;
    flood.join();
    INFO(service.log());
    CHECK(service.wait().code == 0);
  }
}

TEST_CASE("a log that nobody reads holds neither the work nor the exit") {
  temp_dir dir;
  // stderr is a pipe that is open for reading and never read; the flood of dumps fills it.
  auto pipe = dir.path("pipe");
  auto began = std::chrono::steady_clock::now();
  auto result = run_program(
    {"/bin/bash", "-c",
     "mkfifo " + pipe + "; sleep 30 < " + pipe + " & READER=$!; PHI_LOG=trace APP_SERVER_PORT=0"
       + " APP_SERVER_STATE_DIR=" + dir.path("state") + " " + binary() + " 2> " + pipe
       + " & SERVICE=$!; sleep 1; for i in $(seq 1 2000); do kill -USR1 $SERVICE; done; sleep 0.3;"
       + " kill -TERM $SERVICE; wait $SERVICE; CODE=$?; kill $READER; exit $CODE"});
  CHECK(result.code == 0);
  CHECK(std::chrono::steady_clock::now() - began < 20s);
  CHECK(read_file(dir.path("state/last-exit.json")).find("\"exitCode\": 0") != std::string::npos);
}
