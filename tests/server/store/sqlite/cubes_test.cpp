// Cubes in a real file: whatever is committed, rolled back, flushed, merged, killed in between or
// damaged, the counts are those of the rows.

#include "server/statistics/cube_builder.hpp"
#include "server/store/sqlite/ports.hpp"
#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/statements.hpp"
#include "tests/server/store/sqlite/counted_file.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/reference_statistics.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <optional>

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

TEST_CASE("cubes of a file: many values of a route count under (other), in the cubes and as rows") {
  recorded_log log;
  random_events random{8, {.first_day = 3, .days = 2, .routes = 500}};
  auto limits = small_cubes;
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
