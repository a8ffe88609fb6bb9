// The lines that say which rows of PostgreSQL no cube holds yet: what they cost, and what could go
// wrong between a line and its rows.

#include "server/store/postgres/cube_statements.hpp"
#include "tests/server/store/postgres/counting_fixture.hpp"
#include "tests/support/eventually.hpp"

#include <nlohmann/json.hpp>

#include <thread>

using namespace phi;
using namespace phi::statistics;
using namespace phi::store;
using namespace phi::testing;

namespace {

/// Rows of one feature and a line for them, in a transaction that stays open.
class open_transaction {
public:
  explicit open_transaction(counted_server& on) : on_(on), session_(on.server.url()) {
    session_.run("BEGIN");
    session_.run("INSERT INTO event(time_us, identity, feature) VALUES (1, gen_random_uuid(),"
                 " 'late')");
    session_.run("INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events) VALUES"
                 " (txid_current(), currval('event_seq_seq'), currval('event_seq_seq'), 1, 1, 1)");
  }
  void commit() {
    session_.run("COMMIT");
    event e;
    e.feature = "late";
    e.time_us = 1;
    on_.events.push_back(e);
  }

private:
  counted_server& on_;
  postgres_session session_;
};

constexpr auto first_line = "SELECT first_line FROM counted";
const std::string kept[] = {"event", "identity", "batch", "uncounted", "cube", "counted"};

void dump(const counted_server& on) {
  for (const auto& table : kept)
    on.server.ask("CREATE TABLE saved_" + table + " AS SELECT * FROM " + table);
  on.server.ask("CREATE TABLE saved_number AS SELECT last_value FROM uncounted_id_seq");
}

/// In place: sessions stay, numbers begin again where they were.
void restore(const counted_server& on) {
  postgres_session db{on.server.url()};
  db.run("BEGIN");
  for (const auto& table : kept) {
    db.run("DELETE FROM " + table);
    db.run("INSERT INTO " + table + " OVERRIDING SYSTEM VALUE SELECT * FROM saved_" + table);
  }
  db.run("SELECT setval('uncounted_id_seq', last_value) FROM saved_number");
  db.run("COMMIT");
}

std::vector<event> events_of_day(uint64_t seed, size_t count) {
  auto out = random_events{seed, {.first_day = 3, .days = 1}}.some(count);
  for (auto& e : out)
    e.identity[15] = static_cast<uint8_t>(seed);
  return out;
}

/// The plan of a statement, with numbers in place of its parameters.
std::string plan_of(const counted_server& on, std::string sql, const std::string& first,
                    const std::string& second) {
  for (const auto& [name, value] : {std::pair{"$1", first}, std::pair{"$2", second}})
    for (auto at = sql.find(name); at != sql.npos; at = sql.find(name, at))
      sql.replace(at, 2, value);
  std::string out;
  for (const auto& line : on.server.asked()("EXPLAIN " + sql))
    out += line + "\n";
  return out;
}

} // namespace

TEST_CASE(
  "PostgreSQL lines: an older dump that takes the place of newer data brings numbers again, "
  "and no count of what is gone") {
  counted_server on;
  on.commit(events_of_day(31, 100));
  on.count();
  dump(on);
  const auto before = on.events;
  on.commit(events_of_day(32, 100));
  on.count();
  CHECK(on.agrees()); // and keeps what it has read
  const auto newest = on.server.number("SELECT max(id) FROM cube");
  restore(on);
  on.events = before;
  CHECK(on.agrees());
  open_transaction late{on}; // its line has a number that another had
  on.commit(events_of_day(33, 70));
  on.count();
  CHECK(on.server.number("SELECT max(id) FROM cube") == newest);
  CHECK(on.agrees());
  on.commit(events_of_day(34, 70));
  on.count();
  late.commit();
  CHECK(on.agrees());
  on.count();
  CHECK(on.agrees());
  CHECK(on.server.count_mismatch().find("in cubes") == std::string::npos);
}

TEST_CASE("PostgreSQL lines: those that are gone are passed over, and none that may still come") {
  counted_server on;
  auto round = [&](uint64_t seed) {
    on.commit(events_of_day(seed, 70));
    on.count();
    CHECK(on.agrees());
  };
  round(41);
  round(42);
  CHECK(on.server.number(first_line) == 2); // behind the first
  round(43);
  CHECK(on.server.number(first_line) == 3);
  open_transaction late{on};
  const auto its_line = on.server.number("SELECT last_value FROM uncounted_id_seq");
  CHECK(its_line == 4);
  for (uint64_t seed = 44; seed < 48; ++seed)
    round(seed);
  CHECK(on.server.number(first_line) == its_line);
  late.commit();
  CHECK(on.agrees());
  round(48);
  round(49);
  round(50);
  CHECK(on.server.number(first_line) > its_line);
  CHECK(on.server.count_mismatch().find("in cubes") == std::string::npos);
}

TEST_CASE("PostgreSQL lines: a question does not look at those that a long snapshot keeps") {
  counted_server on;
  on.writer("one");
  on.server.ask("INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events)"
                " SELECT 1, 0, 0, 0, 0, 1 FROM generate_series(1, 50000)");
  postgres_session stays{on.server.url()};
  stays.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  stays.run("SELECT 1 FROM uncounted LIMIT 1");
  on.server.ask("UPDATE counted SET first_line = 50001");
  on.server.ask("DELETE FROM uncounted");
  on.commit(events_of_day(51, 10));
  CHECK(on.agrees());
  auto explained = nlohmann::json::parse(on.server.ask("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
                                                       + std::string{postgres_sql::uncounted}));
  const auto& plan = explained[0]["Plan"];
  auto pages = plan["Shared Hit Blocks"].get<int64_t>() + plan["Shared Read Blocks"].get<int64_t>();
  CHECK(pages < 20); // of 700 that the table and its index have
  CHECK(on.counter->step().uncounted_bytes > 5'000'000);
}

TEST_CASE("PostgreSQL lines: whether a row is counted is found out by its transaction, not by "
          "holding each row against each line") {
  counted_server on;
  on.writer("one");
  on.server.ask(
    "INSERT INTO event(time_us, identity, feature, tx) SELECT i * 1000, gen_random_uuid(),"
    " 'f', 100 + i / 10 FROM generate_series(1, 60000) AS i");
  on.server.ask("INSERT INTO uncounted(tx, first_seq, last_seq, first_us, last_us, events)"
                " SELECT 100 + i, i * 10, i * 10 + 10, i * 10000, i * 10000 + 9000, 10"
                " FROM generate_series(1, 3000) AS i");
  for (bool analyzed : {false, true}) {
    CAPTURE(analyzed);
    if (analyzed)
      on.server.ask("ANALYZE");
    for (const auto* sql : {postgres_sql::counts_of_day, postgres_sql::counted_rows_of_day}) {
      auto plan = plan_of(on, sql, "0", "86400000000");
      INFO(plan);
      CHECK(plan.find("Anti Join") != plan.npos);
      CHECK(plan.find("Nested Loop") == plan.npos);
    }
  }
}

TEST_CASE("PostgreSQL lines: a question reads them once, however often it counts") {
  counted_server on;
  on.commit(events_of_day(61, 40));
  auto& db = on.connection;
  db.connect({.url = on.server.url(), .connect_timeout = 2s, .for_writing = false, .name = "test"});
  db.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  on.counts.begin();
  for (int i = 0; i < 5; ++i)
    CHECK(on.counts.count(everything({200, 500}))
          == reference_tally(on.events, everything({200, 500})));
  auto scans = db.run("SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables"
                      " WHERE relname = 'uncounted'");
  REQUIRE(scans.step());
  CHECK(scans.integer(0) == 1);
  db.run("COMMIT");
}

TEST_CASE("PostgreSQL lines: no rows are dropped between a question's lines and its rows") {
  counted_server on;
  on.writer("one");
  on.server.ask("CREATE TABLE event_1970_01_04 PARTITION OF event FOR VALUES FROM (259200000000)"
                " TO (345600000000)");
  auto events = events_of_day(71, 200);
  for (auto& e : events)
    e.action.clear();
  on.commit(events);
  postgres_session retention{on.server.url()};
  retention.run("SET lock_timeout = 300");
  retention.run("BEGIN; LOCK TABLE cube IN ACCESS EXCLUSIVE MODE");
  query_answer answer;
  std::thread asks{[&] {
    answer =
      ask(make_postgres_reader(on.settings("one")), summary("start=1970-01-01&end=1970-01-10"));
  }};
  CHECK(eventually([&] { // it has its lines, and is about to look for cubes
    return on.server.number("SELECT count(*) FROM pg_locks WHERE relation = 'cube'::regclass"
                            " AND NOT granted")
           == 1;
  }));
  retention.run("DELETE FROM uncounted"); // as when they were counted
  CHECK_THROWS(retention.run("DROP TABLE event_1970_01_04"));
  retention.run("COMMIT"); // takes all back where that failed
  asks.join();
  INFO(answer.body);
  CHECK(nlohmann::json::parse(answer.body)["eventsTotal"] == 200);
}

TEST_CASE("PostgreSQL: cubes are read by their bytes, a large one alone") {
  using groups = std::vector<std::vector<int64_t>>;
  constexpr uint64_t mib = 1 << 20;
  auto cube = [](int64_t id, uint64_t bytes) { return stored_cube{.id = id, .bytes = bytes}; };
  CHECK(read_together({}).empty());
  CHECK(read_together({cube(1, mib), cube(2, 3 * mib), cube(3, 1)}) == groups{{1, 2}, {3}});
  CHECK(read_together({cube(1, 1), cube(2, 50 * mib), cube(3, 1), cube(4, 1)})
        == groups{{1}, {2}, {3, 4}});
  std::vector<stored_cube> small;
  for (int64_t i = 0; i < 300; ++i)
    small.push_back(cube(i, 10));
  auto read = read_together(small);
  REQUIRE(read.size() == 2);
  CHECK(read[0].size() == 256);
  CHECK(read[1].size() == 44);
}
