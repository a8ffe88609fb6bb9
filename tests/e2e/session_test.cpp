// A session to PostgreSQL that does not come about, is ended, or waits behind a lock: what that
// costs a start, an event, the watchdog and a stop.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/postgres_drill.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <string>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

using clock = std::chrono::steady_clock;

std::string url_of(const std::string& hosts) {
  return "postgresql://phi@" + hosts + "/postgres";
}

/// Holds the table of the instances while it lives.
class locked_instances {
public:
  explicit locked_instances(const postgres_server& server) : session_(server.url()) {
    session_.run("BEGIN");
    session_.run("LOCK TABLE instance IN ACCESS EXCLUSIVE MODE");
  }

private:
  postgres_session session_;
};

/// Ends the sessions whose names are like this, and waits until they are gone; how many.
int64_t end_sessions(const postgres_server& server, const std::string& name) {
  auto which = " FROM pg_stat_activity WHERE application_name LIKE '" + name + "'";
  auto pids = "SELECT coalesce(string_agg(pid::text, ','), '0')" + which;
  auto ended = server.ask(pids);
  auto count = server.number("SELECT count(pg_terminate_backend(pid))" + which);
  CHECK(eventually([&] {
    return server.number("SELECT count(*) FROM pg_stat_activity WHERE pid IN (" + ended + ")") == 0;
  }));
  return count;
}

const settings six_seconds{{"APP_STATS_BUSY_TIMEOUT_MS", "6000"}};

} // namespace

TEST_CASE(
  "a start before mute hosts: ready when the time to connect is over, events to the spool") {
  mute_server one, two, three;
  auto url = url_of(one.host() + "," + two.host() + "," + three.host());
  temp_dir dir;
  auto began = clock::now();
  service_process service{dir.path(),
                          on_postgres(url, {{"APP_STATS_POSTGRES_CONNECT_TIMEOUT_SECS", "3"}})};
  auto took = clock::now() - began;
  CHECK(took >= 3s);
  CHECK(took < 5s);
  CHECK(service.logged("starts without the database; events go to the spool"));
  auto answer = post(service.port(), "/api/v1/events", one_event);
  CHECK(answer.status == 202);
  CHECK(json::parse(answer.body)["durability"] == "spooled");
  auto end = service.stop();
  CHECK(end.code == 0);
  CHECK(service.logged("keeps events for the next start"));
}

TEST_CASE("a stop ends a start that still connects, whatever the URL says of it") {
  mute_server mute;
  for (std::string spool : {"true", "false"}) {
    CAPTURE(spool);
    temp_dir dir;
    service_process service{dir.path(),
                            on_postgres(url_of(mute.host()) + "?connect_timeout=100",
                                        {{"APP_STATS_POSTGRES_CONNECT_TIMEOUT_SECS", "20"},
                                         {"APP_SPOOL_ENABLED", spool}}),
                            false};
    REQUIRE(service.wait_for_log("supervisor starts"));
    std::this_thread::sleep_for(1s);
    auto end = service.stop();
    INFO(service.log());
    CHECK(end.code == 0);
    CHECK(end.took < 500ms);
    CHECK(service.logged("gives up opening the database for the stop"));
  }
}

TEST_CASE("sessions that PostgreSQL has ended while they were idle cost no event and no health") {
  for (std::string spool : {"true", "false"}) {
    CAPTURE(spool);
    postgres_server server;
    temp_dir dir;
    service_process service{dir.path(),
                            on_postgres(server.url(), {{"APP_SPOOL_ENABLED", spool},
                                                       {"APP_SPOOL_AFTER_MS", "5000"},
                                                       {"APP_STATS_TRACK_REQUESTS", "false"}})};
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    CHECK(get(service.port(), "/api/v1/stats/summary").status == 200);
    REQUIRE(eventually([&] {
      return server.number("SELECT count(*) FROM pg_stat_activity"
                           " WHERE application_name LIKE 'phi-backend %membership'")
             == 1;
    }));
    for (int i = 0; i < 3; ++i) {
      CHECK(end_sessions(server, "phi-backend%") >= 3);
      auto answer = post(service.port(), "/api/v1/events", one_event);
      CHECK(answer.status == 200);
      CHECK(json::parse(answer.body)["durability"] == "committed");
      CHECK(get(service.port(), "/api/v1/stats/summary").status == 200);
      std::this_thread::sleep_for(2500ms); // a sign of life
      CHECK(json::parse(get(service.port(), "/health").body)["status"] == "ok");
    }
    CHECK_FALSE(service.logged("cannot reach the other instances"));
    CHECK(service.stop().code == 0);
    CHECK(server.number("SELECT count(*) FROM event") == 4);
    CHECK(server.count_mismatch() == "");
  }
}

TEST_CASE("a lock on the instances, and a session that must take its name: the watchdog waits") {
  postgres_server server;
  temp_dir dir;
  service_process service{
    dir.path(), on_postgres(server.url(), {{"APP_STATS_BUSY_TIMEOUT_MS", "9000"},
                                           {"APP_SHUTDOWN_WATCHDOG_ENABLED", "true"},
                                           {"APP_SHUTDOWN_WATCHDOG_TIMEOUT_SECS", "3"},
                                           {"APP_SHUTDOWN_WATCHDOG_INTERVAL_SECS", "1"}})};
  CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
  REQUIRE(service.wait_for_log("takes over the maintenance"));
  {
    locked_instances held{server};
    CHECK(end_sessions(server, "phi-backend %membership") == 1);
    REQUIRE(service.wait_for_log("cannot reach the other instances"));
    // The store has its session, and does not ask who it is.
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    std::this_thread::sleep_for(6s);
    REQUIRE(service.running());
    CHECK_FALSE(service.logged("is stuck"));
  }
  CHECK(
    eventually([&] { return json::parse(get(service.port(), "/health").body)["status"] == "ok"; }));
  CHECK(service.stop().code == 0);
  CHECK(server.ask("SELECT state FROM instance") == "stopped");
}

TEST_CASE("a stop does not wait behind a lock on the instances, and says who took how long") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url(), six_seconds)};
  REQUIRE(service.wait_for_log("takes over the maintenance"));
  ended end;
  {
    locked_instances held{server};
    end = service.stop();
    std::this_thread::sleep_for(1s); // what was sent last is not done by a server that comes to it
  }
  INFO(service.log());
  CHECK(end.code == 0);
  CHECK(end.took < 2s); // a sign of life may be under way as well
  auto held_by = json::parse(service.last_exit())["heldBy"];
  CHECK(held_by["who"] == "membership");
  CHECK(held_by["kind"] == "actor");
  CHECK(held_by["what"] == "leaving");
  CHECK(held_by["ms"].get<double>() >= 400);
  CHECK(server.ask("SELECT state FROM instance") != "stopped"); // its lease ends by itself
}
