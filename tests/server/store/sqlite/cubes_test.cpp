// Cubes in a real file: whatever is committed, rolled back, flushed, merged, killed in between or
// damaged, the counts are those of the rows.

#include "server/statistics/cube_builder.hpp"
#include "server/store/sqlite/cube_reader.hpp"
#include "server/store/sqlite/open_database.hpp"
#include "server/store/sqlite/ports.hpp"
#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/statements.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/reference_statistics.hpp"
#include "tests/support/second_writer.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <optional>

using namespace phi;
using namespace phi::statistics;
using namespace phi::store;
using namespace phi::testing;

namespace {

constexpr slot_range all_slots{-100'000'000, 100'000'000};

const cube_limits small{
  .tail_events = 60, .tail_age = std::chrono::seconds{0}, .fan_in = 3, .merged_bytes = 40'000};

/// A database with its writer and a reading connection that stays open.
struct counted_file {
  explicit counted_file(cube_limits limits = small) {
    settings.file = dir.path("a.db");
    settings.busy_timeout = std::chrono::seconds{2};
    settings.query_timeout = std::chrono::seconds{20};
    settings.durability = durability::normal;
    settings.cubes = limits;
    open();
  }

  void open() {
    writer = make_sqlite_store(settings);
    REQUIRE(writer->open().why() == "");
  }
  /// As if it was killed: nothing is finished.
  void open_again() {
    writer.reset();
    open();
  }
  void commit(std::vector<event> more) {
    auto result = writer->commit(*batch_of({more}));
    INFO(result.detail);
    REQUIRE(result.error == error_code::none);
    CHECK(result.requests[0].stored == more.size());
    events.insert(events.end(), more.begin(), more.end());
  }
  void roll_back(std::vector<event> some) {
    auto batch = batch_of({std::move(some)});
    batch->abandon();
    CHECK(writer->commit(*batch).error == error_code::store_unavailable);
  }
  void rest() {
    for (int i = 0; i < 60; ++i)
      writer->tidy_up();
  }
  tally count(const tally_query& query) {
    if (!connection.is_open()) {
      connection.open(settings.file, sqlite_connection::access::read_only);
      counts.emplace(connection);
    }
    connection.run("BEGIN");
    counts->begin();
    auto out = counts->count(query);
    connection.run("COMMIT");
    return out;
  }
  bool agrees(const tally_query& query) { return count(query) == reference_tally(events, query); }
  bool agrees() { return agrees(everything(all_slots)); }
  int64_t number(const std::string& sql) { return ask_database(settings.file, sql); }
  void run(const std::string& sql) { in_file(settings.file)(sql); }

  temp_dir dir;
  sqlite_settings settings;
  store_port_ptr writer;
  std::vector<event> events;
  sqlite_connection connection;
  std::optional<cube_reader> counts;
};

tally_query random_query(random_events& random) {
  auto begin = static_cast<int64_t>(random.below(600)) - 250;
  auto query = everything({begin, begin + 1 + static_cast<int64_t>(random.below(400))});
  if (random.below(3) == 0)
    query.feature = random.below(4) ? "feature" + std::to_string(random.below(3)) : "";
  return query;
}

} // namespace

TEST_CASE("cubes of a file: at any moment the counts are those of all rows") {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    random_events random{seed};
    counted_file file;
    for (int i = 0; i < 150; ++i) {
      switch (random.below(12)) {
        case 0: file.open_again(); break;
        case 1: file.roll_back(random.some(1 + random.below(60))); break;
        case 2: file.writer->tidy_up(); break;
        default: file.commit(random.some(1 + random.below(random.below(4) ? 40 : 300)));
      }
      if (random.below(3) == 0)
        CHECK(file.agrees(random_query(random)));
    }
    CHECK(file.agrees());
    CHECK(file.number("SELECT max(level) FROM cube") >= 1);
    file.rest();
    CHECK(file.agrees());
    CHECK(count_mismatch(in_file(file.settings.file)) == "");
    CHECK(file.number("SELECT last_seq FROM counted") == static_cast<int64_t>(file.events.size()));
    CHECK(file.number("SELECT count(*) FROM cube") <= 5 * 4);
  }
}

TEST_CASE("cubes of a file: a flush over many days is spread, and a kill in its middle costs "
          "nothing") {
  random_events random{3, {.first_day = 10'000, .days = 4000}};
  counted_file file{{.tail_events = 3000, .tail_age = std::chrono::seconds{60}}};
  while (file.number("SELECT count(*) FROM cube") == 0)
    file.commit(random.some(100));
  CHECK(file.number("SELECT last_seq FROM counted") == 0); // the flush goes on
  CHECK(file.agrees());
  auto written = file.number("SELECT count(*) FROM cube");
  file.open_again();
  CHECK(file.agrees());
  file.commit(random.some(100));
  CHECK(file.agrees());
  for (int i = 0; i < 60 && file.number("SELECT last_seq FROM counted") == 0; ++i)
    file.commit(random.some(100));
  CHECK(file.number("SELECT last_seq FROM counted") >= 3000);
  CHECK(file.number("SELECT count(*) FROM cube") > written);
  CHECK(file.agrees());
  CHECK(count_mismatch(in_file(file.settings.file)) == "");
}

TEST_CASE(
  "cubes of a file: what a flush has left goes, also when the commit that deletes it is rolled "
  "back") {
  random_events random{4, {.first_day = 10'000, .days = 4000}};
  counted_file file{{.tail_events = 3000, .tail_age = std::chrono::seconds{60}}};
  while (file.number("SELECT count(*) FROM cube") == 0)
    file.commit(random.some(100));
  CHECK(file.number("SELECT last_seq FROM counted") == 0); // the flush goes on
  file.settings.cubes.tail_events = 3600;                  // else it is done at the start
  file.open_again();
  while (file.events.size() < 3600)
    file.commit(random.some(50));
  file.roll_back(random.some(100));
  file.rest();
  CHECK(file.number("SELECT last_seq FROM counted") > 0);
  CHECK(file.agrees());
}

TEST_CASE("cubes of a file: a question that is ended while it reads rows costs the next one "
          "nothing") {
  class ending : public work_watch {
  public:
    explicit ending(int checks) : left_(checks) {}
    end_cause check() noexcept override {
      return left_-- > 0 ? end_cause::none : end_cause::asker_gone;
    }

  private:
    int left_;
  };
  random_events random{5};
  counted_file file{cube_limits{}};
  for (int i = 0; i < 10; ++i)
    file.commit(random.some(700));
  CHECK(file.number("SELECT last_seq FROM counted") == 0);
  file.connection.open(file.settings.file, sqlite_connection::access::read_only);
  file.counts.emplace(file.connection);
  int ended = 0;
  for (int checks = 0; checks < 6; ++checks) {
    ending watch{checks};
    file.connection.run("BEGIN");
    file.connection.watched_by(&watch);
    try {
      file.counts->begin();
    } catch (const sqlite_error&) {
      ++ended;
    }
    file.connection.watched_by(nullptr);
    file.connection.run("ROLLBACK");
  }
  CHECK(ended > 1);
  CHECK(file.agrees());
}

TEST_CASE(
  "cubes of a file: a number that was given is not given again, also when its row is gone") {
  random_events random{6};
  counted_file file;
  file.commit(random.some(200));
  file.rest();
  auto mark = file.number("SELECT last_seq FROM counted");
  CHECK(mark == 200);
  // As retention deletes them, and the runs are made anew without them.
  file.run("DELETE FROM event WHERE seq > 150; DELETE FROM identity_run");
  file.open_again();
  file.commit(random.some(10));
  CHECK(file.number("SELECT max(seq) FROM event") == mark + 10);
  CHECK(file.agrees()); // none of those that came is behind the mark
}

TEST_CASE("cubes of a file: a day whose cube is damaged is made again from the rows, and said so") {
  const char* damages[] = {
    "UPDATE cube SET body = substr(body, 1, 20)",
    "UPDATE cube SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE id % 2 = 0",
    "UPDATE cube SET body = zeroblob(length(body)) WHERE id = (SELECT min(id) FROM cube)",
  };
  for (const auto* damage : damages) {
    CAPTURE(damage);
    recorded_log log;
    random_events random{6};
    counted_file file;
    for (int i = 0; i < 30; ++i)
      file.commit(random.some(50));
    file.run(damage);
    auto reader = make_sqlite_reader(file.settings);
    auto told = ask(reader, summary("include=all"));
    CHECK(told.error == error_code::questions_unavailable);
    CHECK(told.detail.find("is damaged; it is made again") != std::string::npos);
    for (int i = 0; i < 30 && ask(reader, summary("include=all")).error != error_code::none; ++i) {
      file.writer->tidy_up();
      file.commit(random.some(10));
    }
    CHECK(file.agrees());
    file.rest();
    CHECK(file.agrees());
    CHECK(ask(reader, summary("include=all")).error == error_code::none);
    CHECK(log.contains("makes the counts of a day anew"));
    CHECK(log.contains("has made the counts of a day anew"));
  }
}

TEST_CASE("cubes of a file: what a merge finds damaged is made again as well") {
  random_events random{7, {.first_day = 10, .days = 1}};
  auto limits = small;
  limits.tail_age = std::chrono::seconds{60};
  counted_file file{limits};
  while (file.number("SELECT count(*) FROM cube") < 2)
    file.commit(random.some(20));
  file.run("UPDATE cube SET body = substr(body, 1, 30) WHERE id = (SELECT min(id) FROM cube)");
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(20));
  CHECK(file.agrees());
}

TEST_CASE("cubes of a file: many values of a route count under (other), in the cubes and as rows") {
  recorded_log log;
  random_events random{8, {.first_day = 3, .days = 2, .routes = 500}};
  auto limits = small;
  limits.cap = 20;
  limits.tail_events = 500;
  counted_file file{limits};
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(100));
  file.rest();
  auto counted = file.count(everything(all_slots));
  uint64_t others = 0, all = 0;
  std::map<std::string, int> routes;
  for (const auto& [key, sums] : counted.counts) {
    all += sums.n;
    others += key.route == "(other)" ? sums.n : 0;
    ++routes[key.route];
  }
  auto expected = reference_tally(file.events, everything(all_slots));
  uint64_t total = 0;
  for (const auto& [key, sums] : expected.counts)
    total += sums.n;
  CHECK(all == total);
  CHECK(others > total / 4);
  CHECK(routes.size() <= 22 * static_cast<size_t>(file.number("SELECT count(*) FROM cube")));
  CHECK(counted.users == expected.users);
  CHECK(counted.latencies == expected.latencies);
  CHECK(file.number("SELECT count(DISTINCT route) FROM event") > 400);
  auto told = file.writer->commit(*batch_of({random.some(1)})).counted_as_other;
  CHECK(told > others / 2);
  CHECK(told <= others);
  CHECK(log.count("counts further values of a day together, as (other) day=") == 2); // once a day
  CHECK(log.contains("field=route"));
}

namespace {

/// A file as the version before cubes has left it, its roll-ups only as far as they are looked at.
void make_schema_2(const sqlite_settings& settings, const std::vector<event>& events) {
  sqlite_connection db;
  db.open(settings.file, sqlite_connection::access::read_write);
  db.run("PRAGMA application_id = " + std::to_string(sql::application_id));
  db.run(sql::migrations[0]);
  db.run(sql::migrations[1]);
  db.run("PRAGMA user_version = 2");
  db.run("BEGIN");
  statement row{db, sql::insert_event};
  int64_t seq = 0;
  int64_t users = 0;
  for (const auto& e : events) {
    row.bind(1, e.time_us).bind_blob(2, e.identity.data(), e.identity.size());
    row.bind_or_null(3, e.feature).bind_or_null(4, e.action).bind_or_null(5, e.route);
    row.bind_or_null(6, e.method).bind_or_null(9, e.user_hash).bind_or_null(10, e.user_kind);
    row.bind_or_null(11, e.address_hash).bind_or_null(12, e.instance).bind_null(13);
    e.status != 0 ? row.bind(7, int64_t{e.status}) : row.bind_null(7);
    e.duration_us >= 0 ? row.bind(8, e.duration_us) : row.bind_null(8);
    row.bind(14, ++seq).execute();
    users += e.action != own_request_action;
  }
  db.run("INSERT INTO rollup_count VALUES (1, '', '', '', '', 0, " + std::to_string(users)
         + ", 0, 0, 0, 0, 0, NULL, NULL)");
  for (int i = 0; i < 5000; ++i)
    db.run("INSERT INTO rollup_user VALUES (1, '', 'u" + std::to_string(i) + "', '', 1, 0)");
  db.run("COMMIT");
}

} // namespace

TEST_CASE("cubes of a file: an earlier schema is counted anew from its rows, and its roll-ups go") {
  counted_file file;
  file.writer.reset();
  std::filesystem::remove(file.settings.file);
  std::filesystem::remove(file.settings.file + "-wal");
  std::filesystem::remove(file.settings.file + "-shm");
  random_events random{9};
  file.events = random.some(1000);
  make_schema_2(file.settings, file.events);
  file.open();
  CHECK(file.number("PRAGMA user_version") == 3);
  CHECK(file.number("SELECT last_seq FROM counted") > 900);
  CHECK(file.agrees());
  CHECK(file.number("SELECT count(*) FROM rollup_user") == 5000);
  file.commit(random.some(10));
  file.rest();
  CHECK(file.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'rollup%'") == 0);
  CHECK(file.agrees());
}

TEST_CASE("cubes of a file: an earlier schema whose counted rows are gone is refused untouched") {
  counted_file file;
  file.writer.reset();
  std::filesystem::remove(file.settings.file);
  std::filesystem::remove(file.settings.file + "-wal");
  std::filesystem::remove(file.settings.file + "-shm");
  random_events random{9};
  make_schema_2(file.settings, random.some(300));
  file.run("DELETE FROM event WHERE seq < 100");
  auto why = make_sqlite_store(file.settings)->open().why();
  CHECK(why.find("would lose the others") != std::string::npos);
  CHECK(file.number("PRAGMA user_version") == 2);
  CHECK(file.number("SELECT count(*) FROM sqlite_schema WHERE name = 'cube'") == 0);
}

TEST_CASE(
  "cubes of a file: verify finds a row that is counted twice, and one that is not counted") {
  random_events random{11};
  counted_file file;
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(50));
  file.writer->tidy_up();
  auto reader = make_sqlite_reader(file.settings);
  auto ok = [&] {
    auto answer = ask(reader, verification);
    INFO(answer.detail);
    REQUIRE(answer.error == error_code::none);
    return nlohmann::json::parse(answer.body)["ok"].get<bool>();
  };
  CHECK(ok());
  file.run("INSERT INTO cube SELECT id + 1000000, level, last_seq, body FROM cube LIMIT 1");
  CHECK_FALSE(ok());
  file.run("DELETE FROM cube WHERE id IN (SELECT id FROM cube LIMIT 2)");
  CHECK_FALSE(ok());
}

namespace {

/// Of the smallest cubes, which are not merged yet: the most events that one has.
uint64_t most_events_of_level_0(const counted_file& file) {
  sqlite_connection db;
  db.open(file.settings.file, sqlite_connection::access::read_only);
  cube_table table{db};
  uint64_t most = 0;
  for (const auto& listed : table.all()) {
    uint64_t events = 0;
    for (const auto& sums : table.read(listed.id, all_cube_parts).day_sums)
      events += sums.n;
    if (listed.level == 0)
      most = std::max(most, events);
  }
  return most;
}

} // namespace

TEST_CASE("cubes of a file: a repair is done in steps of a tail; rolled back or killed in any of "
          "them it counts each row once, and until it is whole whoever asks is told") {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    random_events random{seed, {.first_day = 7, .days = 2}};
    auto limits = small;
    limits.tail_age = std::chrono::seconds{60};
    counted_file file{limits};
    while (file.events.size() < 3000)
      file.commit(random.some(50));
    file.run("UPDATE cube SET body = substr(body, 1, length(body) - 3) WHERE id = (SELECT max(id)"
             " FROM cube)");
    auto reader = make_sqlite_reader(file.settings);
    CHECK(ask(reader, summary("include=all")).error == error_code::questions_unavailable);
    int told = 0;
    for (int i = 0; i < 400; ++i) {
      switch (random.below(8)) {
        case 0: file.open_again(); break;
        case 1:
        case 2:
        case 3: file.roll_back(random.some(3)); break;
        default: file.commit(random.some(1));
      }
      told += ask(reader, summary("include=all")).error != error_code::none;
      try {
        CHECK(file.agrees()); // all of it, or it is refused
      } catch (const damaged_day&) {
        file.connection.run("ROLLBACK");
      }
    }
    CHECK(told > 3);
    CHECK(told < 200);
    CHECK(file.agrees());
    CHECK(most_events_of_level_0(file) <= 60);
    CHECK(count_mismatch(in_file(file.settings.file)) == "");
    CHECK(file.number("SELECT count(*) FROM cube WHERE length(body) = 0") == 0);
  }
}

TEST_CASE("cubes of a file: who was opened while somebody else counted counts nothing twice") {
  random_events random{12};
  counted_file file{{.tail_events = 5000, .tail_age = std::chrono::seconds{60}}};
  for (int i = 0; i < 10; ++i)
    file.commit(random.some(100));
  file.writer.reset();
  sqlite_connection one, other;
  one.open(file.settings.file, sqlite_connection::access::read_write);
  other.open(file.settings.file, sqlite_connection::access::read_write);
  cubes ours{one, small, file.settings.damaged};
  cubes theirs{other, small, file.settings.damaged};
  theirs.catch_up(1000);
  CHECK(file.number("SELECT last_seq FROM counted") > 900);
  CHECK_THROWS_AS(ours.catch_up(1000), written_by_others);
  CHECK(file.agrees());
  ours.read_again();
  CHECK_NOTHROW(ours.catch_up(1000));
  CHECK(file.agrees());
  CHECK(count_mismatch(in_file(file.settings.file)) == "");
}

TEST_CASE("cubes of a file: an opening beside a writer that ends begins anew") {
  recorded_log log;
  random_events random{13};
  counted_file file{{.tail_events = 5000, .tail_age = std::chrono::seconds{60}}};
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(100));
  file.writer.reset();
  for (int times : {1, 100}) {
    CAPTURE(times);
    sqlite_connection db;
    db.open(file.settings.file, sqlite_connection::access::read_write);
    std::optional<second_writer> other{std::in_place, db.handle(), file.settings.file, times};
    std::optional<open_database> opened;
    auto open = [&] {
      open_and_count(opened, db, {.generation = 400}, small, file.settings.damaged);
    };
    if (times == 1)
      CHECK_NOTHROW(open());
    else
      CHECK_THROWS_AS(open(), written_by_others);
    CHECK(opened.has_value() == (times == 1));
    opened.reset();
    other.reset();
    file.run("DELETE FROM identity_run"); // they are made again
  }
  CHECK(log.count("reads the database anew") == 3);
  CHECK(file.agrees());
}
