// A database of the schema before cubes: what it has counted is what is answered afterwards.

#include "server/statistics/latency.hpp"
#include "server/store/postgres/statements.hpp"
#include "tests/server/store/postgres/counting_fixture.hpp"
#include "tests/support/recorded_log.hpp"

#include <thread>

using namespace phi;
using namespace phi::statistics;
using namespace phi::store;
using namespace phi::testing;

namespace {

std::string literal(const std::string& text) {
  return text.empty() ? "NULL" : "'" + text + "'";
}

/// As the version before has left it: rows, and roll-ups of two writers over them.
void make_earlier(const counted_server& on, const std::vector<event>& events) {
  postgres_session db{on.server.url()};
  db.run("BEGIN");
  db.run(postgres_sql::create_schema_table);
  for (int version = 1; version <= postgres_sql::last_with_rollups; ++version) {
    db.run(postgres_sql::migrations[version - 1].sql);
    db.run("INSERT INTO phi_schema(version, oldest_program) VALUES (" + std::to_string(version)
           + ", 1)");
  }
  for (const auto& e : events)
    db.run("INSERT INTO event(time_us, identity, feature, action, route, method, status,"
           " duration_us, user_hash, user_kind, address_hash, instance) VALUES ("
           + std::to_string(e.time_us) + ", gen_random_uuid(), " + literal(e.feature) + ", "
           + literal(e.action) + ", " + literal(e.route) + ", " + literal(e.method) + ", "
           + (e.status ? std::to_string(e.status) : "NULL") + ", "
           + (e.duration_us >= 0 ? std::to_string(e.duration_us) : "NULL") + ", "
           + literal(e.user_hash) + ", " + literal(e.user_kind) + ", " + literal(e.address_hash)
           + ", " + literal(e.instance) + ")");
  const std::string slot = "floor(time_us / 900000000.0)::int8";
  const std::string day = "floor(time_us / 86400000000.0)::int8";
  const std::string from = " FROM event WHERE action IS DISTINCT FROM 'phi:request'";
  const std::string by = "'w' || seq % 2";
  auto text = [](const std::string& name) { return "coalesce(" + name + ", '')"; };
  auto bits = [&](int low, int high) {
    auto in_day = "(" + slot + " - " + day + " * 96)::int";
    auto shift = in_day + " - " + std::to_string(low);
    return "bit_or(CASE WHEN " + in_day + " >= " + std::to_string(low) + " AND " + in_day + " < "
           + std::to_string(high) + " THEN 1::int8 << (" + shift + ") ELSE 0 END)";
  };
  db.run("INSERT INTO rollup_count SELECT " + slot + ", " + text("feature") + ", " + text("action")
         + ", " + text("route") + ", " + text("method") + ", coalesce(status, 0) / 100, " + by
         + ", count(*), count(*) FILTER (WHERE status >= 400), min(time_us), max(time_us),"
           " count(duration_us), coalesce(sum(duration_us), 0), min(duration_us), max(duration_us)"
         + from + " GROUP BY 1, 2, 3, 4, 5, 6, 7");
  db.run("INSERT INTO rollup_status SELECT " + slot + ", " + text("feature") + ", status, " + by
         + ", count(*)" + from + " AND status IS NOT NULL GROUP BY 1, 2, 3, 4");
  db.run("INSERT INTO rollup_instance SELECT " + slot + ", " + text("feature") + ", instance, " + by
         + ", count(*)" + from + " AND instance IS NOT NULL GROUP BY 1, 2, 3, 4");
  db.run("CREATE TEMPORARY TABLE bucket(us int8, bucket int8) ON COMMIT DROP");
  for (const auto& e : events)
    if (e.duration_us >= 0)
      db.run("INSERT INTO bucket VALUES (" + std::to_string(e.duration_us) + ", "
             + std::to_string(latency_bucket(e.duration_us)) + ")");
  db.run("INSERT INTO rollup_latency SELECT " + slot + ", " + text("feature") + ", " + text("route")
         + ", " + text("method")
         + ", (SELECT min(bucket) FROM bucket WHERE us = duration_us) AS b, " + by + ", count(*)"
         + from + " AND duration_us IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6");
  db.run("INSERT INTO rollup_user SELECT " + day + ", " + text("feature") + ", user_hash, "
         + text("user_kind") + ", " + by + ", " + bits(0, 64) + ", " + bits(64, 96) + from
         + " AND user_hash IS NOT NULL GROUP BY 1, 2, 3, 4, 5");
  db.run("INSERT INTO rollup_address SELECT " + day + ", address_hash, " + by + ", " + bits(0, 64)
         + ", " + bits(64, 96) + " FROM event WHERE address_hash IS NOT NULL GROUP BY 1, 2, 3");
  db.run("COMMIT");
}

} // namespace

TEST_CASE("PostgreSQL: counts of an earlier schema are made of its rows, and of days without them "
          "taken over") {
  recorded_log log;
  counted_server on;
  random_events random{11};
  on.events = random.some(1500);
  for (auto& e : on.events) // as it was, a sum ended there
    e.duration_us = std::min<int64_t>(e.duration_us, 1'000'000'000'000);
  // Several statuses of a class on one route in one slot, of which a roll-up knows only the sums.
  auto dense = [&](const std::string& route, int32_t status, int64_t duration_us) {
    event e;
    e.time_us = -90'000'000'000;
    e.feature = "dense";
    e.route = route;
    e.status = status;
    e.duration_us = duration_us;
    on.events.push_back(e);
  };
  for (int32_t status : {200, 200, 201, 201})
    dense("/four", status, 50'000);
  dense("/two", 200, 50'000);
  dense("/two", 201, 60'000);
  for (auto [status, ms] : {std::pair{401, 1}, {404, 2}, {410, 9}, {403, 4}, {403, 5}})
    dense("/five", status, ms * 1000);
  make_earlier(on, on.events);
  // Of day -2 all rows are gone, of day 0 some.
  on.server.ask("DELETE FROM event WHERE time_us < -86400000000");
  on.server.ask("UPDATE state SET value = -1 WHERE name = 'raw_from_day'");
  on.server.ask("DELETE FROM event WHERE time_us >= 0 AND time_us < 86400000000 AND seq % 3 = 0");
  postgres_session before{on.server.url()};
  before.run("BEGIN; SELECT 1 FROM rollup_count");
  std::thread others{[&] { // several instances at once, and one that still reads
    std::this_thread::sleep_for(300ms);
    before.run("COMMIT");
  }};
  std::thread second{[&] {
    auto store = make_postgres_store(on.settings("two"));
    CHECK(store->open().why() == "");
  }};
  on.writer("one");
  others.join();
  second.join();
  CHECK(log.contains("has taken over the counts of days whose rows are gone"));
  CHECK(on.server.number("SELECT count(*) FROM pg_class WHERE relname LIKE 'rollup%'") == 0);
  CHECK(on.server.number("SELECT count(*) FROM uncounted WHERE tx IS NULL") == 2);
  CHECK(on.agrees());
  for (auto slot = -200; slot < 300; slot += 37)
    CHECK(on.agrees(everything({slot, slot + 61})));
  on.commit(random_events{99, {.first_day = 3, .days = 1}}.some(100));
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
  CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0);
}

TEST_CASE("PostgreSQL: rows of an earlier schema are counted in steps, and a kill costs nothing") {
  counted_server on;
  random_events random{12};
  on.events = random.some(300);
  make_earlier(on, on.events);
  // Numbers far apart, so that there is more than one step.
  on.server.ask("ALTER TABLE event ALTER seq SET GENERATED BY DEFAULT");
  on.server.ask("UPDATE event SET seq = seq * 1000");
  on.server.ask("SELECT setval('event_seq_seq', 300000)");
  on.writer("one");
  for (int steps = 0; steps < 20 && on.counter->count().more; ++steps) {
    CHECK(on.agrees());
    on.counter = make_postgres_maintenance(on.settings("counter"));
  }
  CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0);
  CHECK(on.agrees());
}
