// What has happened to the service: what is kept of it, what a damaged file does, and that nobody
// waits for it.

#include "protocol/text/rfc3339.hpp"
#include "server/process/life_history.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

namespace {

constexpr auto patience = 30s; // the disk of a busy machine

constexpr int64_t noon = 1'767'268'800'000'000; // 2026-01-01T12:00:00Z

run_end clean_end(const std::string& run) {
  return {.run_id = run,
          .version = "1",
          .ended_us = noon,
          .took_ms = 1500,
          .exit_text = "clean stop, ledger balanced",
          .mode = "graceful",
          .reason = "terminate",
          .held_by = "store: COMMIT",
          .held_ms = 1200};
}

std::string kinds(const life_history& of) {
  std::string out;
  for (const auto& row : of.rows())
    out += (out.empty() ? "" : " ") + std::string{to_string(row.kind)};
  return out;
}

health_view ill(ailment code, bool refuses = false) {
  return {.causes = {{.who = "stats",
                      .why = "at host db.example: gone",
                      .why_in_short = "the database is away",
                      .code = code}},
          .refuses_events = refuses};
}

} // namespace

TEST_CASE("life: a run's end is taken out of its report once, with its stop's length") {
  temp_dir dir;
  auto file = dir.path("lifecycle.json");
  {
    life_history first{file, patience};
    CHECK(first.trouble() == "");
    CHECK(first.rows().empty());
    first.begin_run("r1", "1");
  }
  {
    life_history second{file, patience};
    CHECK(kinds(second) == "start");
    second.learn_end(clean_end("r1"));
    second.learn_end(clean_end("r1")); // it is known already
    second.begin_run("r2", "1");
    CHECK(kinds(second) == "start stop start");
    auto stop = to_json(second.rows().at(1));
    CHECK(stop.dump()
          == R"({"at":"2026-01-01T11:59:58.5Z","until":"2026-01-01T12:00:00Z","kind":"stop",)"
             R"("detail":"clean stop, ledger balanced","version":"1","mode":"graceful",)"
             R"("reason":"terminate","exitCode":0,"tookMs":1500.0,"heldBy":"store: COMMIT",)"
             R"("heldMs":1200.0,"runId":"r1"})");
  }
  life_history third{file};
  third.learn_end(clean_end("r1"));
  auto forced = clean_end("r2");
  forced.exit_code = 81;
  third.learn_end(forced);
  third.learn_end({.run_id = "r3", .ended_us = noon, .crashed = true, .stuck_in = "store"});
  third.begin_run("r4", "2");
  CHECK(kinds(third) == "start stop start forced crash upgrade start");
  CHECK(third.rows().at(4).detail == "the watchdog had given it up because of store");
  CHECK_FALSE(third.rows().at(4).until_us);
  CHECK(third.rows().at(5).detail == "1 -> 2");
}

TEST_CASE("life: a run that ended before its start was written has begun all the same") {
  life_history life{""};
  auto end = clean_end("r1");
  end.started_us = noon - 5'000'000;
  life.learn_end(end);
  CHECK(kinds(life) == "start stop");
  CHECK(life.rows()[0]
        == life_row{
          .kind = life_kind::start, .at_us = noon - 5'000'000, .version = "1", .run_id = "r1"});
  life.begin_run("r2", "1");
  end = clean_end("r2");
  end.started_us = noon;
  life.learn_end(end);
  CHECK(kinds(life) == "start stop start stop");
}

TEST_CASE("life: troubles begin and end with the health, and hosts and paths are not told") {
  life_history life{""}; // in memory only
  life.observe({});
  CHECK(life.rows().empty());
  life.observe(ill(ailment::database_away));
  life.observe(ill(ailment::database_away));
  CHECK(kinds(life) == "spooling degraded");
  CHECK(life.rows().at(1).detail == "stats: the database is away");
  CHECK_FALSE(life.rows().at(0).until_us);
  life.observe(ill(ailment::database_refuses, true));
  CHECK(life.rows().at(0).until_us);
  CHECK_FALSE(life.rows().at(1).until_us);
  life.observe({});
  CHECK(life.rows().at(1).until_us);
  life.observe(ill(ailment::database_refuses, true)); // within a minute: the same trouble
  CHECK(kinds(life) == "spooling degraded");
  CHECK_FALSE(life.rows().at(1).until_us);
  life.begin(life_kind::lame_duck, "");
  life.add(life_kind::reload, std::string(1000, 'x'));
  CHECK(life.rows().back().detail.size() == 300);
  life.learn_end(clean_end("r")); // what went on went on until then
  for (const auto& row : life.rows())
    CHECK((row.until_us || row.kind == life_kind::reload));
  CHECK(life.rows().at(1).until_us == noon);
}

TEST_CASE("life: a trouble that comes again behind a start is another one") {
  life_history life{""};
  life.begin_run("r1", "1");
  life.begin(life_kind::lame_duck, "");
  life.end(life_kind::lame_duck);
  life.begin_run("r2", "1");
  life.begin(life_kind::lame_duck, "");
  CHECK(kinds(life) == "start lame_duck start lame_duck");
}

TEST_CASE("life: a stop under way is told, with its mode of now, and not kept") {
  temp_dir dir;
  auto file = dir.path("lifecycle.json");
  {
    life_history life{file, patience};
    life.begin_run("r1", "1");
    life.stop_under_way(stop_mode::graceful, stop_reason::terminate);
    auto at = life.rows().back().at_us;
    life.stop_under_way(stop_mode::fast, stop_reason::terminate);
    CHECK(kinds(life) == "start stop");
    CHECK(life.rows().back().mode == "fast");
    CHECK(life.rows().back().at_us == at);
  }
  CHECK(kinds(life_history{file}) == "start");
}

TEST_CASE("life: only the newest rows are kept, in memory and in the file") {
  temp_dir dir;
  auto file = dir.path("lifecycle.json");
  {
    life_history life{file, patience};
    for (size_t i = 0; i < life_history::most_rows + 7; ++i)
      life.add(life_kind::reload, std::to_string(i));
    CHECK(life.rows().size() == life_history::most_rows);
    CHECK(life.rows().front().detail == "7");
  }
  life_history again{file};
  CHECK(again.rows().size() == life_history::most_rows);
  CHECK(again.rows().back().detail == std::to_string(life_history::most_rows + 6));
}

TEST_CASE("life: a damaged file is said and kept, a row that is none is left out") {
  temp_dir dir;
  auto file = dir.path("lifecycle.json");
  for (const auto& text : {std::string{"{"}, std::string{"[]"}, std::string{"\xff\0x", 3},
                           R"({"rows":7})" + std::string(2'000'000, ' ')}) {
    write_text(file, text);
    {
      life_history life{file, patience};
      CHECK(life.trouble()
            == "cannot read " + file + ": it is not what was written there; it is kept as " + file
                 + ".damaged and a new history begins");
      CHECK(life.rows().empty());
      CHECK(std::filesystem::file_size(file + ".damaged") == text.size());
      life.begin_run("r", "1");
    }
    CHECK(kinds(life_history{file}) == "start");
  }
  write_text(file, R"({"rows":[7,{},{"kind":"stop"},{"at":"soon","kind":"stop"},)"
                   R"({"at":"2026-01-01T12:00:00Z","kind":"dance"},)"
                   R"({"at":"2026-01-01T12:00:00Z","kind":"reload","detail":5,"exitCode":"x"}]})");
  life_history life{file, patience};
  CHECK(life.trouble() == "");
  REQUIRE(life.rows().size() == 1);
  CHECK(life.rows()[0] == life_row{.kind = life_kind::reload, .at_us = noon});
}

TEST_CASE("life: nobody waits for a directory that cannot be written") {
  temp_dir dir;
  auto began = std::chrono::steady_clock::now();
  {
    life_history life{dir.path("nowhere/lifecycle.json")};
    life.begin_run("r", "1");
    CHECK(kinds(life) == "start");
  }
  CHECK(std::chrono::steady_clock::now() - began < 500ms);
}

TEST_CASE("life: the answer is a list in each format") {
  const std::vector<life_row> rows{
    {.kind = life_kind::start, .at_us = noon, .version = "1", .run_id = "r"},
    {.kind = life_kind::degraded,
     .at_us = noon,
     .until_us = noon + 1'500'000,
     .detail = "a, \"b\""}};
  CHECK(life_answer(rows, "json")
        == R"({"rows":[{"at":"2026-01-01T12:00:00Z","kind":"start","detail":"","version":"1",)"
           R"("runId":"r"},{"at":"2026-01-01T12:00:00Z","until":"2026-01-01T12:00:01.5Z",)"
           R"("kind":"degraded","detail":"a, \"b\""}]})");
  CHECK(life_answer(rows, "ndjson")
        == R"({"at":"2026-01-01T12:00:00Z","kind":"start","detail":"","version":"1","runId":"r"})"
           "\n"
           R"({"at":"2026-01-01T12:00:00Z","until":"2026-01-01T12:00:01.5Z","kind":"degraded",)"
           R"("detail":"a, \"b\""})"
           "\n");
  CHECK(life_answer(rows, "csv")
        == "at,until,kind,detail,version,mode,reason,exitCode,tookMs,heldBy,heldMs,runId\r\n"
           "2026-01-01T12:00:00Z,,start,,1,,,,,,,r\r\n"
           "2026-01-01T12:00:00Z,2026-01-01T12:00:01.5Z,degraded,\"a, \"\"b\"\"\",,,,,,,,\r\n");
}
