// What keeps PostgreSQL and the spool in order: migrations, retention, counts made again, the
// spool's commands, and a life without a spool.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/postgres_drill.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

using namespace phi::testing;
using json = nlohmann::json;

TEST_CASE(
  "--migrate --plan shows what is to be done, --migrate does it; a schema that is too new is "
  "refused, one that is a little newer is not") {
  postgres_server server;
  settings env = on_postgres(server.url());
  auto plan = run_program({binary(), "--migrate", "--plan"}, env);
  CHECK(plan.code == 0);
  CHECK(has(plan.out, "schema 1: tables"));
  CHECK(has(plan.out, "schema 2: which process"));
  CHECK(has(plan.out, "schema 3: cubes"));
  CHECK(server.ask("SELECT to_regclass('event') IS NULL") == "t"); // nothing was done
  CHECK(run_program({binary(), "--migrate"}, env).code == 0);
  CHECK(has(run_program({binary(), "--migrate", "--plan"}, env).out, "nothing to do"));
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 3);
  // The next version's schema, on which this one still runs: as in a rolling upgrade.
  server.ask("INSERT INTO phi_schema(version, oldest_program) VALUES (4, 3)");
  {
    temp_dir dir;
    service_process service{dir.path(), env};
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    CHECK(service.stop().code == 0);
  }
  server.ask("INSERT INTO phi_schema(version, oldest_program) VALUES (5, 4)");
  auto refused = run_program({binary(), "--migrate"}, env);
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "newer version"));
  temp_dir dir;
  settings without_spool = on_postgres(server.url(), {{"APP_SPOOL_ENABLED", "false"}});
  service_process service{dir.path(), without_spool, false};
  CHECK(service.wait().code == 1);
  CHECK(service.logged("newer version"));
  CHECK(run_program({binary(), "--migrate"}, {}).code == 2); // no PostgreSQL in the configuration
  // With a spool it takes events, and writes none of them into what it does not know.
  service_process spooling{dir.path(), env};
  for (int i = 0; i < 5; ++i)
    CHECK(post(spooling.port(), "/api/v1/events", one_event).status == 202);
  CHECK(eventually([&] { return spooling.logged("newer version"); }));
  std::this_thread::sleep_for(1s);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 1);
  CHECK(server.number("SELECT count(*) FROM instance") == 1); // the run before
  server.ask("DELETE FROM phi_schema WHERE version = 5");
  CHECK(ctl(dir, {"spool", "replay"}).code == 0);
  drain_and_stop(spooling);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 6);
}

TEST_CASE("several instances that start at once make the schema once") {
  postgres_server server;
  // All of them stand before the lock of migrations when it is let go.
  postgres_session holder{server.url()};
  holder.run("BEGIN");
  holder.run("SELECT pg_advisory_xact_lock(1349019953, 1)");
  temp_dir dirs[4];
  std::vector<std::unique_ptr<service_process>> services;
  for (int i = 0; i < 4; ++i)
    services.push_back(std::make_unique<service_process>(
      dirs[i].path(),
      instance(server, "i" + std::to_string(i), {{"APP_STATS_BUSY_TIMEOUT_MS", "8000"}}), false));
  CHECK(eventually([&] {
    return server.number(
             "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
           >= 4;
  }));
  holder.run("COMMIT");
  int made = 0;
  for (auto& service : services) {
    CHECK(service->wait_for_log("supervisor is ready"));
    CHECK_FALSE(service->logged("starts without the database"));
    made += service->logged("creates the schema");
    CHECK(service->stop().code == 0);
  }
  CHECK(made == 1);
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 3);
}

namespace {

std::string old_event(int i) {
  return R"({"feature":"old","id":")" + std::to_string(i) + R"(","time":"2026-01-0)"
         + std::to_string(i + 1) + R"(T12:00:00Z"})";
}

} // namespace

TEST_CASE("what is too old is dropped by the day, its counts stay; partitions are made ahead") {
  postgres_server server;
  temp_dir dir;
  {
    service_process service{dir.path(), instance(server, "a")};
    for (int i = 0; i < 3; ++i)
      CHECK(post(service.port(), "/api/v1/events", old_event(i)).status == 200);
    CHECK(service.stop().code == 0);
  }
  // A partition of an old day, as it would be there after months.
  server.ask("CREATE TABLE event_2026_01_02 (LIKE event INCLUDING ALL)");
  server.ask("WITH gone AS (DELETE FROM event_other_day WHERE feature = 'old' AND time_us >="
             " 1767312000000000 AND time_us < 1767398400000000 RETURNING *)"
             " INSERT INTO event_2026_01_02 OVERRIDING SYSTEM VALUE SELECT * FROM gone");
  server.ask("ALTER TABLE event_2026_01_02 ALTER seq DROP IDENTITY");
  server.ask(
    "ALTER TABLE event ATTACH PARTITION event_2026_01_02 FOR VALUES FROM (1767312000000000)"
    " TO (1767398400000000)");
  service_process service{dir.path(),
                          instance(server, "a", {{"APP_STATS_RETENTION_HOT_DAYS", "30"}})};
  CHECK(service.wait_for_log("dropped the rows of 2026-01-02"));
  CHECK(eventually(
    [&] { return server.number("SELECT count(*) FROM event WHERE feature = 'old'") == 0; }));
  server.ask("INSERT INTO identity SELECT gen_random_uuid(), 20400 FROM generate_series(1, 5)");
  CHECK(eventually(
    [&] { return server.number("SELECT count(*) FROM identity WHERE day = 20400") == 0; }, 90s));
  // Sent again after its row is gone it is still known: its identity ages from the day it came.
  for (int i = 0; i < 3; ++i)
    CHECK(has(post(service.port(), "/api/v1/events", old_event(i)).body, R"("duplicates":1)"));
  CHECK(get(service.port(), "/api/v1/stats/summary?feature=old").body.find("\"eventsTotal\":3")
        != std::string::npos);
  auto verified = ctl(dir, {"verify"});
  INFO(verified.out);
  CHECK(verified.code == 0);
  CHECK(server.number("SELECT count(*) FROM pg_class WHERE relname ~ '^event_[0-9_]{10}$'") == 9);
}

TEST_CASE("counts that do not say what the rows say are made again") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), instance(server, "a")};
  {
    load clients{service.port(), "load", 2, 10};
    CHECK(eventually([&] { return clients.acknowledged_so_far() > 300; }));
  }
  CHECK(eventually([&] { return server.number("SELECT count(*) FROM uncounted") == 0; }));
  CHECK(service.stop().code == 0);
  server.ask("DELETE FROM cube WHERE id IN (SELECT min(id) FROM cube)");
  CHECK(server.count_mismatch() != "");
  // Much that is to be pruned does not keep the repair waiting.
  server.ask("INSERT INTO batch SELECT gen_random_uuid(), 'gone', now() - interval '61 days', 0, 0"
             " FROM generate_series(1, 100000)");
  service_process again{dir.path(), instance(server, "a", {{"APP_STATS_TRACK_REQUESTS", "false"}})};
  auto today = server.ask("SELECT to_char(to_timestamp(max(time_us) / 1e6) AT TIME ZONE 'UTC',"
                          " 'YYYY-MM-DD') FROM event");
  CHECK(again.wait_for_log("made the counts of " + today + " again", 60s));
  CHECK(server.number("SELECT count(*) FROM batch WHERE writer = 'gone'") > 0);
  CHECK(eventually([&] { return server.count_mismatch().empty(); }));
  // Rows that are gone take no counts with them.
  const std::string bodies = "SELECT string_agg(md5(body), ',' ORDER BY id) FROM cube";
  auto counted = server.ask(bodies);
  server.ask("DELETE FROM event WHERE seq % 2 = 0");
  CHECK(again.stop().code == 0);
  service_process third{dir.path(), instance(server, "a", {{"APP_STATS_TRACK_REQUESTS", "false"}})};
  CHECK(third.wait_for_log("fewer rows", 60s));
  CHECK(third.stop().code == 0);
  CHECK(server.ask(bodies) == counted);
}

TEST_CASE("phictl spool show, fsck, replay") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url())};
  CHECK(has(ctl(dir, {"spool", "show"}).out, "0 events in 0 batches"));
  auto healthy = ctl(dir, {"doctor"});
  INFO(healthy.out, healthy.err);
  CHECK(healthy.code == 0);
  server.stop();
  for (int i = 0; i < 5; ++i)
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 202);
  auto shown = ctl(dir, {"spool", "show"});
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "the oldest since 20"));
  CHECK(json::parse(ctl(dir, {"spool", "show", "--json"}).out)["events"] >= 5);
  CHECK(has(ctl(dir, {"spool", "fsck"}).out, "sound"));
  // The reader may be the first to miss the database; what the others say comes a moment later.
  program_result ill;
  CHECK(eventually([&] {
    ill = ctl(dir, {"doctor"});
    return has(ill.out, "PostgreSQL does not answer") && has(ill.out, "the database is away");
  }));
  INFO(ill.out);
  CHECK(ill.code == 1);
  auto spool = in_file(dir.path("spool.db"));
  spool("UPDATE batch SET checksum = 'x' || checksum WHERE seq = (SELECT min(seq) FROM batch)");
  auto damaged = ctl(dir, {"spool", "fsck"});
  CHECK(damaged.code == 1);
  CHECK(has(damaged.out + damaged.err, "its checksum is wrong"));
  auto away = ctl(dir, {"--timeout", "1", "spool", "replay"});
  CHECK(away.code == 4);
  CHECK(has(away.out, "still wait"));
  CHECK(eventually([&] { return service.logged("sets a damaged batch aside"); }));
  spool("UPDATE batch SET checksum = substr(checksum, 2) WHERE checksum LIKE 'x%'");
  server.start();
  auto replayed = ctl(dir, {"spool", "replay"});
  CHECK(replayed.code == 0);
  CHECK(has(replayed.out, "the spool is empty"));
  CHECK(service.stop().code == 0);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 5);
  CHECK(ctl(dir, {"spool", "show"}).code == 3);
  temp_dir alone;
  service_process sqlite{alone.path()};
  auto none = ctl(alone, {"spool", "show"});
  CHECK(none.code == 1);
  CHECK(has(none.err, "there is no spool"));
  CHECK(has(ctl(alone, {"cluster", "list"}).out, "this one"));
  CHECK(has(ctl(alone, {"cluster", "drain", "x"}).err, "this instance is alone"));
}

TEST_CASE(
  "phictl spool fsck: what is missing is not called damaged, and once forgotten all is sound") {
  postgres_server server;
  temp_dir dir;
  auto with = on_postgres(server.url(), {{"APP_STATS_TRACK_REQUESTS", "false"}});
  {
    service_process first{dir.path(), with};
    server.stop();
    for (int i = 0; i < 3; ++i)
      CHECK(post(first.port(), "/api/v1/events", one_event).status == 202);
    first.kill();
  }
  in_file(dir.path("spool.db"))("DELETE FROM batch WHERE seq = (SELECT min(seq) FROM batch)");
  service_process service{dir.path(), with};
  auto words = [](const program_result& said) {
    return said.out.substr(said.out.rfind("2 batches"));
  };
  auto missing = ctl(dir, {"spool", "fsck"});
  CHECK(missing.code == 1);
  CHECK(words(missing) == "2 batches, 2 events: not whole\n");
  auto spool = in_file(dir.path("spool.db"));
  spool("UPDATE batch SET checksum = 'x' || checksum WHERE seq = (SELECT min(seq) FROM batch)");
  CHECK(words(ctl(dir, {"spool", "fsck"})) == "2 batches, 2 events: damaged, and not whole\n");
  spool("UPDATE batch SET checksum = substr(checksum, 2) WHERE checksum LIKE 'x%'");
  auto forgotten = ctl(dir, {"spool", "fsck", "--forget-missing"});
  CHECK(forgotten.code == 0);
  CHECK(has(forgotten.out, "1 batches with 1 events are missing; this is forgotten now"));
  CHECK(words(forgotten) == "2 batches, 2 events: sound\n");
  CHECK(ctl(dir, {"spool", "fsck"}).out == "2 batches, 2 events: sound\n");
}

TEST_CASE("phictl spool fsck of a large spool keeps no events waiting") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          on_postgres(server.url(), {{"APP_STATS_TRACK_REQUESTS", "false"}})};
  server.stop();
  std::string lines;
  for (int i = 0; i < 2000; ++i)
    lines += one_event + "\n";
  using steady = std::chrono::steady_clock;
  steady::duration alone{}; // that a check takes
  auto check = [&] {
    auto began = steady::now();
    CHECK(has(ctl(dir, {"spool", "fsck"}).out, "sound"));
    alone = steady::now() - began;
  };
  for (int i = 0; i < 50 && alone < 2s; ++i) {
    for (int k = 0; k < 20; ++k)
      CHECK(post(service.port(), "/api/v1/events", lines, "application/x-ndjson").status == 202);
    check();
  }
  std::atomic<bool> done{false};
  std::thread checker{[&] {
    check();
    done = true;
  }};
  steady::duration longest{};
  int answered = 0;
  for (; !done; ++answered) {
    auto began = steady::now();
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 202);
    longest = std::max(longest, steady::now() - began);
  }
  checker.join();
  CHECK(answered > 10);
  CHECK(longest < alone / 4);
  CHECK(service.stop().code == 0);
}

TEST_CASE("without a spool: 503 while PostgreSQL is away, then 200 again; no start without it") {
  postgres_server server;
  temp_dir dir;
  auto with = on_postgres(server.url(), {{"APP_SPOOL_ENABLED", "false"}});
  service_process service{dir.path(), with};
  load clients{service.port(), "load", 4};
  for (int i = 0; i < 3; ++i) {
    CHECK(eventually([&] { return answers_committed(service); }));
    server.stop("immediate");
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 503);
    server.start();
  }
  CHECK(eventually([&] { return answers_committed(service); }));
  auto seen = clients.finish();
  CHECK(seen.spooled == 0);
  CHECK(service.stop().code == 0);
  check_exactly_once(server, seen);
  server.stop();
  service_process without{dir.path(), with, false};
  CHECK(without.wait().code == 1);
  CHECK(without.logged("refused"));
}
