// Damaged counts in PostgreSQL: they are found, and made again of rows while there are any.

#include "tests/server/store/postgres/counting_fixture.hpp"

#include <algorithm>

using namespace phi;
using namespace phi::statistics;
using namespace phi::store;
using namespace phi::testing;

namespace {

constexpr int32_t a_day = 20'000; // 2024-10-04
const std::string of_that_day = "2024-10-04";

std::vector<event> events_of_day(uint64_t seed, size_t count) {
  return random_events{seed, {.first_day = a_day, .days = 1}}.some(count);
}

void make_partition(const counted_server& on) {
  on.server.ask("CREATE TABLE event_2024_10_04 PARTITION OF event FOR VALUES FROM"
                " (1728000000000000) TO (1728086400000000)");
}

/// The one with most events, or with fewest.
void damage_cube(const counted_server& on, const std::string& order) {
  on.server.ask("UPDATE cube SET body = substr(body, 1, 20) WHERE id = (SELECT id FROM cube"
                " ORDER BY events "
                + order + " LIMIT 1)");
}

int64_t counted_events(const std::vector<event>& events) {
  return std::count_if(events.begin(), events.end(),
                       [](const auto& e) { return e.action != own_request_action; });
}

maintenance_port::done one_step(const maintenance_port_ptr& by) {
  auto done = by->step();
  INFO(done.ended.why());
  CHECK(done.ended);
  return done;
}

/// The first step that does something about that day.
maintenance_port::done steps_until(const maintenance_port_ptr& by) {
  maintenance_port::done done;
  for (int i = 0; i < 20 && done.did.find(of_that_day) == std::string::npos; ++i)
    done = one_step(by);
  return done;
}

/// Keeps rows for a hundred days, and has long done so.
maintenance_port_ptr with_retention(const counted_server& on) {
  on.server.ask("UPDATE about SET value = extract(epoch FROM now())::int8 / 86400 - 100"
                " WHERE name = 'raw_from_day'");
  auto settings = on.settings("retention");
  settings.keep_days = 100;
  return make_postgres_maintenance(settings);
}

/// Cubes of these, one each.
void count_apart(counted_server& on, const std::vector<std::vector<event>>& parts) {
  for (const auto& part : parts) {
    on.commit(part);
    on.count();
  }
  REQUIRE(on.server.number("SELECT count(*) FROM cube") == static_cast<int64_t>(parts.size()));
}

} // namespace

TEST_CASE("PostgreSQL repair: a day that waits for it is not forgotten when an attempt fails") {
  counted_server on;
  random_events random{21};
  for (int i = 0; i < 2; ++i) {
    on.commit(random.some(200));
    on.count();
  }
  on.server.ask("UPDATE cube SET body = substr(body, 1, 20) WHERE id >> 32 = -2");
  on.commit(random.some(200));
  on.count(); // would merge them
  {
    postgres_session holds{on.server.url()};
    holds.run("BEGIN; SELECT 1 FROM counted FOR UPDATE");
    CHECK(on.counter->step().ended.why().find("lock timeout") != std::string::npos);
  }
  auto done = one_step(on.counter); // the day that is next in turn is another
  CHECK(done.did.find("made the counts of 1969-12-30 again: they were damaged") != done.did.npos);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL repair: of a day with fewer rows that remains which has more events") {
  const auto many = events_of_day(22, 300);
  const auto few = events_of_day(23, 60);
  SUBCASE("the sound cubes") {
    counted_server on;
    auto other = few;
    for (auto& e : other)
      e.identity[15] = 1;
    count_apart(on, {many, other});
    on.server.ask("DELETE FROM event WHERE seq > 20");
    damage_cube(on, "ASC");
    auto done = steps_until(on.counter);
    CHECK(done.did == "kept the counts of " + of_that_day + " that are sound");
    CHECK(done.warning
          == "of " + of_that_day + " 1 cubes were damaged, and rows are gone: "
               + std::to_string(counted_events(other)) + " events count no longer");
    on.events = many;
    CHECK(on.agrees());
    auto more = events_of_day(24, 100); // their cube comes to those that were kept
    for (auto& e : more)
      e.identity[15] = 2;
    on.commit(more);
    on.count();
    CHECK(on.agrees());
  }
  SUBCASE("the sound cubes, where nobody but the service itself was counted") {
    counted_server on;
    auto first = few, second = few;
    for (auto* part : {&first, &second})
      for (auto& e : *part) {
        e.action = own_request_action;
        e.identity[15] = part == &first ? 1 : 2;
      }
    count_apart(on, {first, second});
    on.server.ask("DELETE FROM event");
    damage_cube(on, "ASC");
    auto done = steps_until(on.counter);
    CHECK(done.did == "kept the counts of " + of_that_day + " that are sound");
    CHECK(on.server.number("SELECT count(*) FROM cube") == 1);
  }
  SUBCASE("the rows") {
    counted_server on;
    auto other = few;
    for (auto& e : other)
      e.identity[15] = 1;
    count_apart(on, {many, other});
    on.server.ask("DELETE FROM event WHERE seq > 350");
    damage_cube(on, "DESC");
    auto done = steps_until(on.counter);
    CHECK(done.did == "made the counts of " + of_that_day + " again: they were damaged");
    auto lost = std::vector<event>{other.begin() + 50, other.end()};
    CHECK(done.warning
          == "of " + of_that_day + " 1 cubes were damaged, and rows are gone: "
               + std::to_string(counted_events(lost)) + " events count no longer");
    on.events.resize(350);
    CHECK(on.agrees());
  }
}

TEST_CASE("PostgreSQL repair: damaged cubes are made again before retention takes the rows") {
  counted_server on;
  on.writer("one");
  SUBCASE("of a day with a partition") {
    make_partition(on);
    on.commit(events_of_day(25, 300));
    on.count();
    damage_cube(on, "ASC");
    auto done = one_step(with_retention(on));
    CHECK(done.did
          == "made the counts of " + of_that_day + " again: they were damaged; dropped the rows of "
               + of_that_day);
  }
  SUBCASE("of a day without") {
    on.commit(events_of_day(26, 300));
    on.count();
    damage_cube(on, "ASC");
    auto done = one_step(with_retention(on));
    CHECK(done.did.find("deleted 300 old events") != done.did.npos);
  }
  CHECK(on.server.number("SELECT count(*) FROM event") == 0);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL repair: rows that are not counted stay, whatever retention says") {
  counted_server on;
  on.writer("one");
  SUBCASE("in a partition") {
    make_partition(on);
  }
  SUBCASE("in none") {}
  auto retention = with_retention(on);
  on.commit(events_of_day(27, 40));
  {
    postgres_session holds{on.server.url()};
    holds.run("BEGIN; LOCK TABLE cube IN SHARE MODE"); // nothing can be counted
    retention->step();
    CHECK(on.server.number("SELECT count(*) FROM event") == 40);
  }
  on.count();
  one_step(retention);
  CHECK(on.server.number("SELECT count(*) FROM event") == 0);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL repair: a day that cannot be put right holds up none of the others") {
  counted_server on;
  on.writer("one");
  make_partition(on);
  on.server.ask("CREATE TABLE event_2024_10_05 PARTITION OF event FOR VALUES FROM"
                " (1728086400000000) TO (1728172800000000)");
  on.commit(events_of_day(28, 100));
  on.count();
  auto next_day = random_events{29, {.first_day = a_day + 1, .days = 1}}.some(100);
  for (auto& e : next_day)
    e.identity[15] = 1;
  on.commit(next_day);
  on.count();
  on.server.ask("UPDATE cube SET body = substr(body, 1, 20) WHERE id >> 32 = 20000");
  on.server.ask("CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN RAISE EXCEPTION $$it stays$$; END'");
  on.server.ask("CREATE TRIGGER stay BEFORE DELETE ON cube FOR EACH ROW WHEN (old.id >> 32 = 20000)"
                " EXECUTE FUNCTION stay()");
  auto retention = with_retention(on);
  auto done = retention->step();
  CHECK(done.ended.why().find("it stays") != std::string::npos);
  CHECK(done.did == "dropped the rows of 2024-10-05");
  CHECK(on.server.number("SELECT count(*) FROM event") == 100); // those of the day before
  on.server.ask("DROP TRIGGER stay ON cube");
  CHECK(one_step(retention).did
        == "made the counts of " + of_that_day + " again: they were damaged; dropped the rows of "
             + of_that_day);
  CHECK(on.agrees());
}

TEST_CASE("PostgreSQL repair: what is lost is said also where retention has to wait for counts") {
  counted_server on;
  on.writer("one");
  make_partition(on);
  on.commit(events_of_day(30, 100));
  on.count();
  on.server.ask("DELETE FROM event");
  damage_cube(on, "ASC");
  auto late = events_of_day(31, 20);
  for (auto& e : late)
    e.identity[15] = 1;
  on.commit(late); // not counted yet
  std::string said;
  auto retention = with_retention(on);
  for (int i = 0; i < 3; ++i)
    said += one_step(retention).warning;
  CHECK(said.find("of " + of_that_day + " 1 cubes were damaged, and rows are gone: ") == 0);
}
