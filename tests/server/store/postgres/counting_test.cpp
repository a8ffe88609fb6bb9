// Cubes in PostgreSQL: whoever commits in whatever order, and whoever counts, is killed or finds
// damage, the counts are those of the rows.

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

tally_query random_query(random_events& random) {
  auto begin = static_cast<int64_t>(random.below(600)) - 250;
  auto query = everything({begin, begin + 1 + static_cast<int64_t>(random.below(400))});
  if (random.below(3) == 0)
    query.feature = random.below(4) ? "feature" + std::to_string(random.below(3)) : "";
  return query;
}

/// An event in a transaction that stays open.
class slow_writer {
public:
  slow_writer(counted_server& on, uint64_t number) : on_(on), session_(on.server.url()) {
    e_.feature = "slow";
    e_.time_us = 1'000'000 * static_cast<int64_t>(number);
    session_.run("BEGIN");
    auto before = session_.run("SELECT coalesce(pg_sequence_last_value('event_seq_seq'), 0)")[0][0];
    session_.run("INSERT INTO event(time_us, identity, feature) VALUES ("
                 + std::to_string(e_.time_us) + ", gen_random_uuid(), 'slow')");
    auto time = std::to_string(e_.time_us);
    session_.run("INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events) VALUES"
                 " (txid_current(), "
                 + before + ", currval('event_seq_seq'), " + time + ", " + time + ", 1)");
  }
  void commit() {
    session_.run("COMMIT");
    on_.events.push_back(e_);
  }

private:
  counted_server& on_;
  postgres_session session_;
  event e_;
};

/// Steps of the maintenance until it says this; what it warns of.
std::string steps_until(const counted_server& on, const std::string& text) {
  std::string all;
  for (int i = 0; i < 30 && all.find(text) == all.npos; ++i) {
    auto done = on.counter->step();
    INFO(done.ended.why());
    REQUIRE(done.ended);
    all += done.did + "; " + done.warning + "\n";
  }
  return all;
}

} // namespace

TEST_CASE("PostgreSQL counts: at any moment they are those of all rows") {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    CAPTURE(seed);
    random_events random{seed};
    counted_server on;
    on.writer("one");
    for (int i = 0; i < 100; ++i) {
      switch (random.below(6)) {
        case 0: on.counter->count(); break;
        case 1: on.counter = make_postgres_maintenance(on.settings("counter")); break;
        case 2:
          on.connection.close();
          on.counts.forget();
          break;
        default:
          on.commit(random.some(1 + random.below(random.below(4) ? 40 : 300)),
                    random.below(2) ? "one" : "two");
      }
      if (random.below(3) == 0)
        CHECK(on.agrees(random_query(random)));
    }
    CHECK(on.agrees());
    on.count();
    CHECK(on.agrees());
    CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0);
    CHECK(on.server.number("SELECT max(level) FROM cube") >= 1);
    CHECK(on.server.number("SELECT count(*) FROM cube") <= 5 * 4);
    CHECK(on.server.count_mismatch() == "");
    auto reader = make_postgres_reader(on.settings("one"));
    CHECK(ask(reader, verification).body.find("\"ok\":false") == std::string::npos);
  }
}

TEST_CASE(
  "PostgreSQL counts: transactions that commit in another order than they took numbers, and "
  "one that stays open") {
  counted_server on;
  random_events random{5};
  on.commit(random.some(100));
  slow_writer stays{on, 1};
  auto first = std::make_unique<slow_writer>(on, 2);
  slow_writer second{on, 3};
  slow_writer third{on, 4};
  third.commit();
  on.commit(random.some(70));
  on.count();
  CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0); // nobody waits for the others
  CHECK(on.agrees());
  second.commit();
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
  first.reset(); // rolled back
  on.count();
  on.commit(random.some(70));
  CHECK(on.agrees());
  stays.commit();
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
  CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0);
}

TEST_CASE("PostgreSQL counts: what is ended in between leaves nothing half done") {
  counted_server on;
  random_events random{7};
  on.commit(random.some(200));
  {
    postgres_session holds{on.server.url()};
    holds.run("BEGIN; LOCK TABLE cube IN SHARE MODE");
    CHECK_FALSE(on.counter->count().ended); // its lines are taken, its cubes cannot be written
    CHECK(on.agrees());
    holds.run("COMMIT");
  }
  CHECK(on.server.number("SELECT count(*) FROM cube") == 0);
  on.count();
  CHECK(on.agrees());
  on.commit(random.some(200));
  on.server.kill_backends();
  CHECK(eventually([&] { return on.counter->count().ended.why().empty(); }));
  on.connection.close();
  on.counts.forget();
  on.count();
  CHECK(on.agrees());
  CHECK(on.server.count_mismatch().find("in cubes") == std::string::npos);
}

TEST_CASE("PostgreSQL counts: a role with rights on tables alone counts all the same") {
  counted_server on;
  on.commit(random_events{44}.some(200));
  on.server.ask("CREATE ROLE limited LOGIN");
  on.server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited");
  auto settings = on.settings("limited");
  settings.url.replace(settings.url.find("phi@"), 4, "limited@");
  auto counter = make_postgres_maintenance(settings);
  on.count(counter);
  CHECK(on.server.number("SELECT count(*) FROM uncounted") == 0);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL counts: two that count at once count each row once") {
  counted_server on;
  random_events random{9};
  on.writer("one");
  std::atomic<bool> over{false};
  std::vector<std::thread> counters;
  for (const auto* name : {"a", "b"})
    counters.emplace_back([&on, &over, name] {
      auto by = make_postgres_maintenance(on.settings(name));
      while (!over)
        by->count(); // one waits for the other, or gives up
    });
  for (int i = 0; i < 60; ++i)
    on.commit(random.some(1 + random.below(80)));
  over = true;
  for (auto& one : counters)
    one.join();
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
  CHECK(on.server.count_mismatch() == "");
}

TEST_CASE("PostgreSQL counts: of a damaged cube the day is read from its rows, and made again") {
  const char* damages[] = {
    "UPDATE cube SET body = substr(body, 1, 20) WHERE id >> 32 = 1",
    "UPDATE cube SET body = '\\x00'::bytea || substr(body, 2) WHERE id >> 32 = 1",
  };
  for (const auto* damage : damages) {
    CAPTURE(damage);
    recorded_log log;
    counted_server on;
    random_events random{6};
    for (int i = 0; i < 10; ++i)
      on.commit(random.some(50));
    on.count();
    on.server.ask(damage);
    CHECK(on.agrees());
    CHECK(log.contains("counts a day from its rows"));
    // As of days whose rows are gone: there is nothing to make it of, and it is said.
    on.server.ask("UPDATE about SET value = 2 WHERE name = 'raw_from_day'");
    auto reader = make_postgres_reader(on.settings("one"));
    CHECK(ask(reader, summary("include=all")).error == error_code::questions_unavailable);
    on.server.ask("UPDATE about SET value = -1000000 WHERE name = 'raw_from_day'");
    auto told = steps_until(on, "made the counts of 1970-01-02 again: they were damaged");
    INFO(told);
    CHECK(told.find("made the counts of 1970-01-02 again: they were damaged") != told.npos);
    CHECK(on.server.count_mismatch() == "");
    CHECK(on.agrees());
    on.commit(random.some(100));
    on.count();
    CHECK(on.agrees());
  }
}

TEST_CASE("PostgreSQL counts: a day with more rows than counts is made again, one with fewer is "
          "kept") {
  counted_server on;
  random_events random{8, {.first_day = 20'000, .days = 1}};
  on.writer("one");
  on.server.ask(
    "CREATE TABLE event_2024_10_04 PARTITION OF event FOR VALUES FROM (1728000000000000)"
    " TO (1728086400000000)");
  on.commit(random.some(300));
  on.count();
  on.commit(random.some(30)); // behind the cubes
  on.server.ask("DELETE FROM cube WHERE id = (SELECT min(id) FROM cube)");
  CHECK_FALSE(on.agrees());
  auto told = steps_until(on, "made the counts");
  CHECK(told.find("made the counts of 2024-10-04 again;") != told.npos);
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
  auto before = on.server.ask("SELECT string_agg(md5(body), ',') FROM cube");
  on.server.ask("DELETE FROM event WHERE seq % 2 = 0");
  told = steps_until(on, "fewer rows");
  CHECK(told.find("fewer rows of 2024-10-04") != told.npos);
  CHECK(on.server.ask("SELECT string_agg(md5(body), ',') FROM cube") == before);
  CHECK(on.agrees());
}
