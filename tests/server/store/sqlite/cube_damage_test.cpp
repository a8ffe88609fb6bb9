// Cubes in a real file that are damaged, or that somebody else writes to: what is damaged is made
// again from the rows, and whatever does not fit them is found.

#include "server/statistics/cube_format.hpp"
#include "server/store/sqlite/open_database.hpp"
#include "tests/server/store/sqlite/counted_file.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/second_writer.hpp"

#include <nlohmann/json.hpp>

#include <set>

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
    CHECK(told < 200);
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
