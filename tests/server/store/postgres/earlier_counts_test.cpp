// A database of the schema before cubes: what it has counted is what is answered afterwards.

#include "server/statistics/latency.hpp"
#include "server/store/postgres/statements.hpp"
#include "tests/server/store/postgres/counting_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/recorded_log.hpp"

#include <atomic>
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

bool takes_over(const counted_server& on) {
  return on.server.ask("SELECT taken_over_to IS NOT NULL FROM counted") == "t";
}

/// A transaction's worth each by another who is killed then.
void take_over(counted_server& on) {
  for (int i = 0; i < 100 && takes_over(on); ++i) {
    on.counter = make_postgres_maintenance(on.settings("counter"));
    auto done = on.counter->count();
    INFO(done.ended.why());
    CHECK(done.ended);
  }
  REQUIRE_FALSE(takes_over(on));
}

constexpr auto tables_of_rollups =
  "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^(rollup|earlier)_'";

/// Two weeks of it: rows, and none of them for the first week.
std::vector<event> make_earlier_weeks(const counted_server& on, uint64_t seed) {
  auto events = random_events{seed, {.first_day = 0, .days = 14}}.some(400);
  for (auto& e : events)
    e.duration_us = std::min<int64_t>(e.duration_us, 1'000'000'000'000);
  make_earlier(on, events);
  on.server.ask("DELETE FROM event WHERE time_us < 7 * 86400000000");
  on.server.ask("UPDATE state SET value = 7 WHERE name = 'raw_from_day'");
  return events;
}

} // namespace

TEST_CASE("PostgreSQL: counts of an earlier schema are made of its rows, and of days without them "
          "taken over") {
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
  auto reader = make_postgres_reader(on.settings("one"));
  CHECK(ask(reader, summary()).error == error_code::questions_unavailable);
  CHECK(on.server.number(tables_of_rollups) == 6);
  take_over(on);
  CHECK(ask(reader, summary()).error == error_code::none);
  CHECK(on.counter->step().did.find("dropped the roll-ups") != std::string::npos);
  CHECK(on.server.number(tables_of_rollups) == 0);
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
  take_over(on);
  for (int steps = 0; steps < 20 && on.counter->count().more; ++steps) {
    CHECK(on.agrees());
    on.counter = make_postgres_maintenance(on.settings("counter"));
  }
  CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL: an instance of the version with roll-ups that is still connected fails, "
          "whatever it does") {
  counted_server on;
  on.events = make_earlier_weeks(on, 13);
  on.server.ask("CREATE TABLE event_19700109 PARTITION OF event FOR VALUES FROM (691200000000)"
                " TO (691200000001)");
  postgres_session earlier{on.server.url()};
  earlier.run("INSERT INTO duty(name, holder, until) VALUES ('maintenance', 'old', now() +"
              " interval '1 hour'), ('turn', 'old', NULL)");
  earlier.run("INSERT INTO instance(name, version, state, started_at, lease_until) VALUES"
              " ('old', '0', 'ready', now(), now() + interval '1 hour')");
  on.writer("one");
  // Its maintenance has looked which day is the first that stays, and goes on.
  CHECK_THROWS(earlier.run("DROP TABLE event_19700109"));
  CHECK_THROWS(earlier.run("DELETE FROM event_other WHERE ctid IN (SELECT ctid FROM event_other"
                           " WHERE time_us < 864000000000 LIMIT 20000)"));
  CHECK_THROWS(earlier.run("SELECT name, value FROM state WHERE name IN ('raw_from_day',"
                           " 'keep_days', 'moved_at_us')"));
  CHECK_THROWS(earlier.run("DELETE FROM rollup_count WHERE slot >= 0"));
  CHECK_THROWS(earlier.run("INSERT INTO rollup_status VALUES (0, '', 200, 'old', 1)"));
  // It renews its duty.
  CHECK_THROWS(earlier.run("INSERT INTO duty AS d (name, holder, until) VALUES ('maintenance',"
                           " 'old', now()) ON CONFLICT (name) DO UPDATE SET until = now()"));
  CHECK_THROWS(earlier.run("UPDATE duty SET name = 'maintenance'"));
  // A sign of life and the restart slot are its own, so that it can go down in its turn.
  earlier.run("UPDATE instance SET lease_until = now() WHERE name = 'old'");
  CHECK(earlier.run("DELETE FROM duty WHERE name = 'turn' AND holder = 'old' RETURNING 1").size()
        == 1);
  auto member = make_postgres_cluster(on.settings("one"));
  auto heard = member->beat({});
  REQUIRE(heard);
  CHECK(heard->leads); // at once: nobody has the duty
  member->leave();
  take_over(on);
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL: roll-ups go only when the cubes that were made of them read back") {
  counted_server on;
  on.events = make_earlier_weeks(on, 14);
  on.writer("one");
  on.server.ask("CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " NEW.body := substr(NEW.body, 1, 20); RETURN NEW; END $$");
  on.server.ask("CREATE TRIGGER damage BEFORE INSERT ON cube FOR EACH ROW EXECUTE FUNCTION"
                " damage()");
  for (int i = 0; i < 3; ++i) {
    CHECK(on.counter->count().ended.why().find("is damaged") != std::string::npos);
    on.counter->step();
  }
  CHECK(takes_over(on));
  CHECK(on.server.number("SELECT count(*) FROM earlier_count") > 0);
  CHECK(on.server.number("SELECT count(*) FROM cube") == 0);
  on.server.ask("DROP TRIGGER damage ON cube");
  take_over(on);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL: many days of roll-ups without any row are taken over one after the other") {
  counted_server on;
  make_earlier(on, {});
  on.server.ask("INSERT INTO rollup_count SELECT 96 * day, 'f', '', '', '', 0, 'w', 7, 0,"
                " day * 86400000000, day * 86400000000, 0, 0, NULL, NULL"
                " FROM generate_series(100, 1599) AS day");
  on.writer("one");
  int transactions = 0;
  for (bool more = true; more && transactions < 200; ++transactions) {
    auto done = on.counter->count();
    INFO(done.ended.why());
    REQUIRE(done.ended);
    more = done.more;
  }
  CHECK(transactions > 2); // else it shows nothing
  CHECK_FALSE(takes_over(on));
  CHECK(on.server.number("SELECT count(*) FROM cube") == 1500);
  CHECK(on.server.number("SELECT sum(events) FROM cube") == 10'500);
}

namespace {

/// Ends what waits, after a while.
class impatient : public work_watch {
public:
  end_cause check() noexcept override { return ended ? end_cause::stopping : end_cause::none; }
  std::atomic<bool> ended{false};
};

} // namespace

TEST_CASE("PostgreSQL: a migration waits for who holds a lock, lets others get on, says whose it "
          "is, and ends with a stop") {
  recorded_log log;
  counted_server on;
  on.events = make_earlier_weeks(on, 15);
  postgres_session holds{on.server.url() + "?application_name=long-report"};
  holds.run("BEGIN; SELECT count(*) FROM event");
  auto settings = on.settings("one");
  settings.commit_timeout = 2s;
  std::atomic<bool> over{false};
  std::chrono::milliseconds longest{0};
  std::thread others{[&] { // they look at the rows all the time
    postgres_session reads{on.server.url()};
    while (!over) {
      auto began = std::chrono::steady_clock::now();
      reads.run("SELECT 1 FROM event LIMIT 1");
      longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                    std::chrono::steady_clock::now() - began));
    }
  }};
  auto opened = make_postgres_store(settings)->open();
  over = true;
  others.join();
  CHECK(opened.why().find("a lock is held by process ") != std::string::npos);
  CHECK(opened.why().find("(long-report)") != std::string::npos);
  CHECK(log.contains("waits for a lock to bring the schema up to date"));
  CHECK(longest < 1500ms);
  CHECK(longest > 100ms); // else nobody waited behind us, and this shows nothing
  auto watch = std::make_shared<impatient>();
  settings.commit_timeout = 60s;
  auto store = make_postgres_store(settings);
  store->watched_by(watch);
  std::thread stop{[&] {
    std::this_thread::sleep_for(700ms);
    watch->ended = true;
  }};
  auto began = std::chrono::steady_clock::now();
  CHECK_FALSE(store->open());
  CHECK(std::chrono::steady_clock::now() - began < 3s);
  stop.join();
  CHECK(on.server.number("SELECT max(version) FROM phi_schema") == 2);
  holds.run("COMMIT");
  on.writer("one");
  take_over(on);
  CHECK(on.agrees());
}
