// What is counted of events, on the real process: whatever it dies of while cubes are written,
// merged or made anew, each event counts once.

#include "server/store/postgres/statements.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/exactly_once.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/postgres_drill.hpp"
#include "tests/support/service_process.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <sqlite3.h>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Cubes are made of few events, and not of the service's own requests.
settings small_cubes(settings more = {}) {
  more.insert({{"PHI_TAIL_EVENTS", "40"}, {"APP_STATS_TRACK_REQUESTS", "false"}});
  return more;
}

int64_t events_counted(const service_process& service) {
  auto answer = get(service.port(), "/api/v1/stats/summary?include=all");
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  return nlohmann::json::parse(answer.body)["eventsTotal"].get<int64_t>();
}

int64_t events_stored(const service_process& service) {
  return ask_database(service.database(), "SELECT count(*) FROM event");
}

int64_t cubes_of(const service_process& service) {
  return ask_database(service.database(), "SELECT count(*) FROM cube");
}

void damage_newest_cube(const service_process& service) {
  in_file(service.database())("UPDATE cube SET body = substr(body, 1, length(body) - 3)"
                              " WHERE id = (SELECT max(id) FROM cube)");
}

} // namespace

TEST_CASE("killed at any point of making cubes: each event is stored and counted once") {
  REQUIRE(has_faults());
  for (std::string where :
       {"cube.flush=kill@2", "cube.flushed=kill@1", "cube.flushed=kill@5", "cube.merge=kill@1",
        "cube.merge=kill@3", "store.after_commit=kill@40"}) {
    CAPTURE(where);
    temp_dir dir;
    service_process service{dir.path(), small_cubes({{"PHI_FAULTS", where}})};
    load clients{service.port(), "load", 4};
    CHECK(service.wait().signal == SIGKILL);
    auto seen = clients.finish();
    service_process again{dir.path(), small_cubes()};
    CHECK(events_counted(again) == events_stored(again));
    load more{again.port(), "more", 4, 50};
    CHECK(eventually([&] { return more.acknowledged_so_far() >= 2000; }, 30s));
    more.finish();
    CHECK(events_counted(again) == events_stored(again));
    CHECK(cubes_of(again) > 0);
    CHECK(again.stop().code == 0);
    check_exactly_once(in_file(again.database()), seen);
  }
}

TEST_CASE(
  "a flush that fails takes its batch along: it is refused, and what is counted stays whole") {
  REQUIRE(has_faults());
  temp_dir dir;
  service_process service{dir.path(), small_cubes({{"PHI_FAULTS", "cube.flush=throw@2*3"}})};
  load clients{service.port(), "load", 4};
  CHECK(eventually([&] { return clients.acknowledged_so_far() >= 1000; }, 30s));
  auto seen = clients.finish();
  CHECK(events_counted(service) == events_stored(service));
  CHECK(service.stop().code == 0);
  check_exactly_once(in_file(service.database()), seen);
}

TEST_CASE(
  "a damaged cube: whoever asks is told, its day is made again, also after a kill in that") {
  REQUIRE(has_faults());
  for (std::string fault : {"", "cube.repair=kill@2", "cube.repaired=kill@1"}) {
    CAPTURE(fault);
    temp_dir dir;
    service_process service{dir.path(), small_cubes({{"PHI_FAULTS", fault}})};
    load clients{service.port(), "load", 2, 20};
    CHECK(eventually([&] { return clients.acknowledged_so_far() >= 500; }, 30s));
    auto seen = clients.finish();
    CHECK(eventually([&] { return cubes_of(service) > 0; }));
    damage_newest_cube(service);
    auto answer = get(service.port(), "/api/v1/stats/summary?include=all");
    CHECK(answer.status == 503);
    CHECK(answer.body.find("it is made again") != std::string::npos);
    if (!fault.empty()) {
      CHECK(service.wait().signal == SIGKILL);
      service_process again{dir.path(), small_cubes()};
      get(again.port(), "/api/v1/stats/summary?include=all");
      CHECK(again.wait_for_log("has made the counts of a day anew", 30s));
      CHECK(events_counted(again) == events_stored(again));
      CHECK(again.stop().code == 0);
    } else {
      CHECK(service.wait_for_log("has made the counts of a day anew", 30s));
      CHECK(events_counted(service) == events_stored(service));
      CHECK(service.stop().code == 0);
    }
    check_exactly_once(in_file(service.database()), seen);
  }
}

namespace {

settings cubes_in_postgres(const postgres_server& server, settings more = {}) {
  return instance(server, "one", small_cubes(std::move(more)));
}

void check_counts(const service_process& service, const postgres_server& server) {
  CHECK(server.count_mismatch() == "");
  CHECK(events_counted(service) == server.number("SELECT count(*) FROM event"));
}

} // namespace

TEST_CASE(
  "PostgreSQL: killed at any point of making cubes: each event is stored and counted once") {
  REQUIRE(has_faults());
  postgres_server server;
  temp_dir dir;
  load_result all;
  for (std::string where : {"cube.flush=kill@2", "cube.flushed=kill@2", "cube.merge=kill@1"}) {
    CAPTURE(where);
    service_process service{dir.path(), cubes_in_postgres(server, {{"PHI_FAULTS", where}})};
    load clients{service.port(), "load", 2, 10, where + "-"};
    CHECK(service.wait().signal == SIGKILL);
    all.acknowledged.merge(clients.finish().acknowledged);
    service_process again{dir.path(), cubes_in_postgres(server)};
    check_counts(again, server);
    drain_and_stop(again);
  }
  service_process service{dir.path(), cubes_in_postgres(server)};
  CHECK(eventually([&] { return server.number("SELECT count(*) FROM uncounted") == 0; }));
  check_counts(service, server);
  drain_and_stop(service);
  check_exactly_once(server, all);
}

TEST_CASE("PostgreSQL: a damaged day is made again, also after a kill in that") {
  REQUIRE(has_faults());
  postgres_server server;
  temp_dir dir;
  load_result seen;
  {
    service_process service{dir.path(), cubes_in_postgres(server)};
    load clients{service.port(), "load", 2, 20};
    CHECK(eventually([&] { return clients.acknowledged_so_far() >= 300; }));
    seen = clients.finish();
    CHECK(eventually([&] { return server.number("SELECT count(*) FROM cube") > 0; }));
    drain_and_stop(service);
  }
  server.ask("UPDATE cube SET body = substr(body, 1, 20) WHERE id = (SELECT max(id) FROM cube)");
  service_process killed{
    dir.path(), cubes_in_postgres(server, {{"PHI_FAULTS", "cube.repaired=kill@1"}}), false};
  CHECK(killed.wait().signal == SIGKILL);
  service_process again{dir.path(), cubes_in_postgres(server)};
  CHECK(again.wait_for_log("again: they were damaged", 30s));
  check_counts(again, server);
  drain_and_stop(again);
  check_exactly_once(server, seen);
}

TEST_CASE("PostgreSQL: killed while roll-ups of an earlier version are taken over") {
  namespace sql = phi::store::postgres_sql;
  REQUIRE(has_faults());
  postgres_server server;
  temp_dir dir;
  server.ask(sql::create_schema_table);
  for (int version = 1; version <= sql::last_with_rollups; ++version) {
    server.ask(sql::migrations[version - 1].sql);
    server.ask("INSERT INTO phi_schema VALUES (" + std::to_string(version) + ", 1)");
  }
  server.ask("INSERT INTO rollup_count SELECT 96 * day, 'f', '', '', '', 0, 'w', 7, 0,"
             " day * 86400000000, day * 86400000000, 0, 0, NULL, NULL"
             " FROM generate_series(20550, 20559) AS day");
  for (std::string where : {"cube.taken_over=kill@3", "cube.flushed=kill@1"}) {
    CAPTURE(where);
    service_process service{dir.path(), cubes_in_postgres(server, {{"PHI_FAULTS", where}}), false};
    CHECK(service.wait().signal == SIGKILL);
    CHECK(server.number("SELECT count(*) FROM counted WHERE taken_over_to IS NOT NULL") == 1);
  }
  service_process service{dir.path(), cubes_in_postgres(server)};
  CHECK(service.wait_for_log("has taken over the counts of an earlier version"));
  auto answer = get(service.port(), "/api/v1/stats/summary?start=2026-01-01&end=2026-12-31");
  INFO(answer.body);
  CHECK(answer.body.find("\"eventsTotal\":70,") != std::string::npos);
  CHECK(server.number("SELECT sum(events) FROM cube") == 70);
  CHECK(service.stop().code == 0);
}
