// Cubes in a real file that are damaged, or that somebody else writes to: what is damaged is made
// again from the rows, and whatever does not fit them is found.

#include "server/statistics/cube_format.hpp"
#include "server/store/sqlite/open_database.hpp"
#include "tests/server/store/sqlite/counted_file.hpp"
#include "tests/server/store/sqlite/lost_page.hpp"
#include "tests/support/newer_cube.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/second_writer.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <set>
#include <thread>

using namespace phi;
using namespace phi::testing;

namespace {

/// Of the smallest cubes, which are not merged yet: the most events that one has.
uint64_t most_events_of_level_0(const counted_file& file) {
  sqlite_connection db;
  db.open(file.settings.file, sqlite_connection::access::read_only);
  cube_table table{db};
  uint64_t most = 0;
  for (const auto& listed : table.all()) {
    if (listed.bytes == 0)
      continue; // a repair is under way
    uint64_t events = 0;
    for (const auto& sums : table.read(listed.id, all_cube_parts).day_sums)
      events += sums.n;
    if (listed.level == 0)
      most = std::max(most, events);
  }
  return most;
}

} // namespace

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

TEST_CASE("cubes of a file: a page that is lost is damage to the cube on it, and to no event; that "
          "cube counts no more although it cannot be deleted") {
  for (std::string found_by : {"a question", "a merge", "a merge at the start"}) {
    CAPTURE(found_by);
    recorded_log log;
    random_events random{15, {.first_day = 10, .days = 1}};
    counted_file file{{.tail_events = 1500, .tail_age = std::chrono::seconds{60}, .fan_in = 3}};
    for (int i = 0; i < 30; ++i)
      file.commit(random.some(100));
    file.writer.reset();
    REQUIRE(file.number("SELECT count(*) FROM cube") < 3);
    make_earlier(file.settings.file);
    const auto damaged = file.number("SELECT id FROM cube ORDER BY length(body) DESC LIMIT 1");
    lose_page(file.settings.file, "body", "cube WHERE id = " + std::to_string(damaged));
    if (found_by == "a merge at the start") {
      file.settings.cubes.tail_events = 10'000;
      file.open();
      file.commit(random.some(3000));
      file.settings.cubes.tail_events = 1500;
      file.writer.reset();
    }
    file.open();
    auto reader = make_sqlite_reader(file.settings);
    if (found_by == "a question") {
      auto told = ask(reader, summary("include=all"));
      CHECK(told.error == error_code::questions_unavailable);
      CHECK(told.detail
            == "what was counted of 1970-01-11 is damaged; it is made again from the events");
    }
    for (int i = 0; i < 30; ++i)
      file.commit(random.some(100)); // not one is refused
    for (int i = 0; i < 50 && !log.contains("has made the counts of a day anew"); ++i) {
      file.rest();
      std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
    for (bool again : {false, true}) {
      CAPTURE(again);
      CHECK(file.agrees());
      CHECK(ask(reader, summary("include=all")).error == error_code::none);
      CHECK(nlohmann::json::parse(ask(reader, verification).body)["ok"] == true);
      CHECK(file.number("SELECT id FROM dead_row WHERE name = 'cube'") == damaged);
      CHECK(file.number("SELECT count(*) FROM dead_row") == 1);
      file.open_again();
      file.commit(random.some(2000)); // merges leave it alone
      file.rest();
    }
    CHECK(log.count("has made the counts of a day anew") == 1);
  }
}

TEST_CASE("cubes of a file: the number of a cube that counts no more is not given again") {
  random_events random{17, {.first_day = 10, .days = 1}};
  counted_file file;
  for (int i = 0; i < 10; ++i)
    file.commit(random.some(50));
  file.rest();
  file.writer.reset();
  // What a flush has left that was killed, and the next one could not delete before it was killed.
  file.run(
    "INSERT INTO cube SELECT (10 << 32) + last_cube + 1, 0, last_seq + 1, x'01' FROM counted");
  file.run("CREATE TABLE dead_row (name TEXT, id INTEGER)");
  file.run("INSERT INTO dead_row SELECT 'cube', (10 << 32) + last_cube + 1 FROM counted");
  file.open();
  file.commit(random.some(100));
  file.rest();
  CHECK(file.number("SELECT last_seq FROM counted") == 600);
  CHECK(file.agrees());
}

TEST_CASE("cubes of a file: what a newer version has counted is told so, and left as it is") {
  recorded_log log;
  random_events random{18, {.first_day = 10, .days = 2}};
  counted_file file;
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(50));
  file.rest();
  sqlite_connection db;
  db.open(file.settings.file, sqlite_connection::access::read_write);
  const auto newer = file.number("SELECT min(id) FROM cube");
  auto write = [&](uint8_t version) {
    statement get{db, "SELECT body FROM cube WHERE id = ?1"};
    get.bind(1, newer).step();
    const auto body = of_version(std::string{get.blob(0)}, version);
    get.reset();
    statement put{db, "UPDATE cube SET body = ?2 WHERE id = ?1"};
    put.bind(1, newer).bind_blob(2, body.data(), body.size()).execute();
  };
  write(3);
  auto reader = make_sqlite_reader(file.settings);
  for (const auto& told : {ask(reader, summary("include=all")), ask(reader, verification)}) {
    CHECK(told.error == error_code::questions_unavailable);
    CHECK(told.detail
          == "what was counted of 1970-01-11 cannot be read: it was written by a newer version"
             " (cubes of version 3, this program knows 2); install that version");
  }
  CHECK(file.settings.damaged->empty());
  for (int i = 0; i < 20; ++i)
    file.commit(random.some(50));
  file.rest();
  CHECK(log.contains("leaves the counts of a day as they are"));
  CHECK_FALSE(log.contains("makes the counts of a day anew"));
  CHECK(file.number("SELECT count(*) FROM cube WHERE id = " + std::to_string(newer)
                    + " AND hex(substr(body, 1, 1)) = '03'")
        == 1);
  CHECK(file.number("SELECT count(*) FROM cube WHERE id >> 32 = 11 AND level = 0") < 3); // merged
  write(2); // as if that version was there again
  CHECK(file.agrees());
}

TEST_CASE("cubes of a file: days that wait for being made anew are not forgotten when it fails as "
          "they are begun") {
  random_events random{16, {.first_day = 10, .days = 2}};
  counted_file file;
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(50));
  file.writer.reset();
  sqlite_connection db;
  db.open(file.settings.file, sqlite_connection::access::read_write);
  auto damaged = std::make_shared<damaged_days>();
  cubes counted{db, small_cubes, damaged};
  damaged->add(10);
  damaged->add(11);
  file.run("ALTER TABLE kept RENAME TO hidden");
  db.run("BEGIN");
  CHECK_THROWS_AS(counted.work(0, 1500), sqlite_error);
  db.run("ROLLBACK");
  counted.forgotten();
  CHECK(damaged->take() == std::set<int32_t>{10, 11});
}

TEST_CASE("cubes of a file: what a merge finds damaged is made again as well") {
  random_events random{7, {.first_day = 10, .days = 1}};
  auto limits = small_cubes;
  limits.tail_age = std::chrono::seconds{60};
  counted_file file{limits};
  while (file.number("SELECT count(*) FROM cube") < 2)
    file.commit(random.some(20));
  file.run("UPDATE cube SET body = substr(body, 1, 30) WHERE id = (SELECT min(id) FROM cube)");
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(20));
  CHECK(file.agrees());
}

TEST_CASE("cubes of a file: a repair is done in steps of a tail; rolled back or killed in any of "
          "them it counts each row once, and until it is whole whoever asks is told") {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    random_events random{seed, {.first_day = 7, .days = 2}};
    auto limits = small_cubes;
    limits.tail_age = std::chrono::seconds{60};
    counted_file file{limits};
    while (file.events.size() < 3000)
      file.commit(random.some(50));
    file.run("UPDATE cube SET body = substr(body, 1, length(body) - 3) WHERE id = (SELECT max(id)"
             " FROM cube)");
    auto reader = make_sqlite_reader(file.settings);
    CHECK(ask(reader, summary("include=all")).error == error_code::questions_unavailable);
    int told = 0;
    uint64_t most = 0;
    for (int i = 0; i < 400; ++i) {
      switch (random.below(8)) {
        case 0: file.open_again(); break;
        case 1:
        case 2:
        case 3: file.roll_back(random.some(1 + random.below(200))); break;
        default: file.commit(random.some(1));
      }
      told += ask(reader, summary("include=all")).error != error_code::none;
      try {
        CHECK(file.agrees()); // all of it, or it is refused
        most = std::max(most, most_events_of_level_0(file));
      } catch (const damaged_day&) {
        if (!file.connection.autocommit())
          file.connection.run("ROLLBACK");
      }
    }
    CHECK(told > 3);
    for (int i = 0; i < 200; ++i) // where nothing throws it back any more it is soon whole
      file.commit(random.some(1));
    CHECK(ask(reader, summary("include=all")).error == error_code::none);
    CHECK(file.agrees());
    CHECK(most > 30);
    CHECK(most <= 60);
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
  cubes ours{one, small_cubes, file.settings.damaged};
  cubes theirs{other, small_cubes, file.settings.damaged};
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
      open_and_count(opened, db, {.generation = 400}, small_cubes, file.settings.damaged);
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

TEST_CASE("cubes of a file: verify finds what is counted by another name, and says on which day") {
  random_events random{14, {.first_day = 3, .days = 3}};
  counted_file file;
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(50));
  file.rest();
  auto reader = make_sqlite_reader(file.settings);
  auto verified = [&] {
    auto told = ask(reader, verification);
    INFO(told.detail);
    REQUIRE(told.error == error_code::none);
    return nlohmann::json::parse(told.body);
  };
  CHECK(verified()["ok"] == true);
  sqlite_connection db;
  db.open(file.settings.file, sqlite_connection::access::read_write);
  cube_table table{db};
  auto listed = table.all().back();
  REQUIRE(listed.day() == 5);
  auto body = table.read(listed.id, all_cube_parts);
  auto& routes = body.texts[static_cast<size_t>(dimension::route)];
  REQUIRE(routes.back().starts_with("/r"));
  routes.back() = "/other"; // all totals stay what they are
  table.remove(listed.id);
  table.put(listed, write_cube(body));
  auto found = verified();
  CHECK(found["ok"] == false);
  std::set<std::string> differing;
  for (const auto& check : found["checks"])
    if (check["ok"] == false) {
      differing.insert(check["what"].get<std::string>());
      CHECK(check["days"] == nlohmann::json{"1970-01-06"});
    }
  CHECK(differing
        == std::set<std::string>{"days by combinations", "days by latencies", "days by routes"});
}
