// Rows that are too old are deleted, a few at a time: what was counted of them stays, and what they
// were sent again for does not count twice.

#include "server/store/sqlite/cube_reader.hpp"
#include "server/store/sqlite/identity_run.hpp"
#include "server/store/sqlite/ports.hpp"
#include "tests/server/store/sqlite/lost_page.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/newer_cube.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <thread>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
using json = nlohmann::json;

namespace {

constexpr int64_t today = 20'000;

/// Events of the thirty days before `today`, in a database that keeps the rows of ten.
struct kept_file {
  kept_file() {
    settings.file = dir.path("a.db");
    settings.busy_timeout = std::chrono::seconds{2};
    settings.query_timeout = std::chrono::seconds{20};
    settings.cubes.tail_events = 100;
    settings.cubes.tail_age = std::chrono::seconds{0};
    settings.identities.generation = 500;
    settings.keep_days = 10;
    settings.now_us = [this] { return now_us; };
    open();
  }
  void open() {
    writer = make_sqlite_store(settings);
    REQUIRE(writer->open().why() == "");
  }
  commit_result::counts commit(std::vector<event> more) {
    auto result = writer->commit(*batch_of({std::move(more)}));
    INFO(result.detail);
    REQUIRE(result.error == error_code::none);
    return result.requests[0];
  }
  void rest(int times = 60) {
    for (int i = 0; i < times; ++i)
      writer->tidy_up();
  }
  std::string answer(const std::string& more = "include=all") {
    auto out = ask(make_sqlite_reader(settings), summary(more));
    INFO(out.detail);
    REQUIRE(out.error == error_code::none);
    return out.body;
  }
  json verified() {
    auto out = ask(make_sqlite_reader(settings), verification);
    INFO(out.detail);
    REQUIRE(out.error == error_code::none);
    return json::parse(out.body);
  }
  int64_t rows(int64_t before_day = 1'000'000) {
    return ask_database(settings.file, "SELECT count(*) FROM event WHERE time_us < "
                                         + std::to_string(before_day * day_us));
  }

  temp_dir dir;
  int64_t now_us = today * day_us + 12 * 3'600'000'000;
  sqlite_settings settings;
  store_port_ptr writer;
};

} // namespace

TEST_CASE(
  "old rows are deleted: counts stay, repeats are known, verify agrees, also after a kill") {
  random_events random{1, {.first_day = today - 30, .days = 30}};
  auto events = random.some(3000);
  kept_file file;
  for (size_t i = 0; i < events.size(); i += 100)
    file.commit({events.begin() + static_cast<ptrdiff_t>(i),
                 events.begin() + static_cast<ptrdiff_t>(i + 100)});
  const auto before = file.answer();
  REQUIRE(file.rows(today - 10) > 1000);
  file.rest();
  CHECK(file.rows(today - 10) == 0);
  const auto left = file.rows();
  CHECK(left > 500);
  CHECK(file.answer() == before);
  CHECK(file.verified()["ok"] == true);
  CHECK(file.commit({events.begin(), events.begin() + 500}).duplicates == 500);
  file.writer.reset();
  file.open();
  file.rest();
  CHECK(file.commit({events.begin(), events.begin() + 500}).duplicates == 500);
  CHECK(file.rows() == left);
  CHECK(file.answer() == before);
  CHECK(file.verified()["ok"] == true);
}

TEST_CASE("old rows are deleted also of few events, whose identities no run holds yet") {
  random_events random{2, {.first_day = today - 30, .days = 30}};
  auto events = random.some(60);
  kept_file file;
  file.commit(events);
  file.rest();
  CHECK(file.rows(today - 10) == 0);
  CHECK(file.rows() > 0);
  file.writer.reset();
  file.open();
  CHECK(file.commit(events).duplicates == 60);
  CHECK(file.verified()["ok"] == true);
}

TEST_CASE("a clock that jumps ahead deletes the rows of one day a day, and no more") {
  random_events random{3, {.first_day = today - 10, .days = 10}};
  kept_file file;
  file.commit(random.some(500));
  file.rest();
  REQUIRE(file.rows() == 500);
  file.now_us += 365 * day_us;
  file.rest();
  file.rest();
  CHECK(file.rows(today - 9) == 0);
  CHECK(file.rows() > 400);
}

TEST_CASE("a damaged cube of a day whose rows are deleted is lost, and the others count") {
  recorded_log log;
  random_events random{4, {.first_day = today - 30, .days = 30}};
  kept_file file;
  for (int i = 0; i < 20; ++i)
    file.commit(random.some(100));
  file.rest();
  auto total = [&] { return json::parse(file.answer())["eventsTotal"].get<int>(); };
  const auto before = total();
  in_file(file.settings.file)("UPDATE cube SET body = substr(body, 1, 50)"
                              " WHERE id = (SELECT min(id) FROM cube)");
  CHECK(ask(make_sqlite_reader(file.settings), summary("include=all")).error
        == error_code::questions_unavailable);
  auto nobody_wants = batch_of({{make_event(999'999, "f", file.now_us)}});
  nobody_wants->abandon(); // what it has found out is rolled back, and is found out again
  CHECK(file.writer->commit(*nobody_wants).error == error_code::store_unavailable);
  CHECK_FALSE(log.contains("has lost counts of a day"));
  file.rest(2);
  CHECK(total() < before);
  CHECK(total() > before * 8 / 10);
  CHECK(log.contains("has lost counts of a day"));
  CHECK(file.verified()["ok"] == true);
}

namespace {

/// Three thousand events of thirty days, of which ten have their rows: in runs of 500 identities.
struct damaged_file : kept_file {
  damaged_file() {
    random_events random{5, {.first_day = today - 30, .days = 30}};
    events = random.some(3000);
    for (size_t i = 0; i < events.size(); i += 100)
      commit({events.begin() + static_cast<ptrdiff_t>(i),
              events.begin() + static_cast<ptrdiff_t>(i + 100)});
    rest();
    before = answer();
    REQUIRE(rows(today - 10) == 0);
    left = rows();
  }
  /// What the run with this number has of events whose rows are deleted.
  std::set<digest> deleted_in(int64_t run) {
    std::set<digest> old, out;
    for (const auto& e : events)
      if (e.time_us < (today - 10) * day_us)
        old.insert(e.identity);
    sqlite_connection db;
    db.open(settings.file, sqlite_connection::access::read_only);
    identity_tables tables{db};
    for (const auto& one : tables.runs())
      for (size_t i = 0; one.number == run && i < one.blocks(); ++i)
        for (const auto& identity : tables.block(one, i))
          if (old.contains(identity))
            out.insert(identity);
    return out;
  }
  /// All of them again, by a sender that says no time if so wished: which are refused. The others
  /// are known.
  std::set<digest> refused_when_sent_again(bool no_time = false) {
    std::set<digest> out;
    for (size_t i = 0; i < events.size(); i += 500) {
      std::vector<event> some{events.begin() + static_cast<ptrdiff_t>(i),
                              events.begin() + static_cast<ptrdiff_t>(i + 500)};
      for (auto& e : some) {
        e.no_time = no_time;
        e.time_us = no_time ? now_us : e.time_us;
      }
      auto result = writer->commit(*batch_of({some}));
      if (result.error != error_code::none) // the damage was found
        result = writer->commit(*batch_of({some}));
      INFO(result.detail);
      REQUIRE(result.error == error_code::none);
      CHECK(result.requests[0].stored == 0);
      for (const auto& one : result.refused) {
        CHECK(one.detail.find("may be stored already") != std::string::npos);
        out.insert(some.at(one.at).identity);
      }
      CHECK(result.requests[0].duplicates + result.refused.size() == 500);
    }
    return out;
  }

  std::vector<event> events;
  std::string before;
  int64_t left = 0;
};

} // namespace

TEST_CASE("a cube of a newer version is not lost with its day's rows and damaged cubes") {
  recorded_log log;
  random_events random{12, {.first_day = today - 30, .days = 30}};
  kept_file file;
  for (int i = 0; i < 20; ++i)
    file.commit(random.some(100));
  file.rest();
  const auto oldest = "(SELECT min(id) FROM cube)";
  auto all = in_file(file.settings.file);
  const auto before = all("SELECT count(*) FROM cube");
  sqlite_connection db;
  db.open(file.settings.file, sqlite_connection::access::read_write);
  std::string body;
  {
    statement get{db, std::string{"SELECT body FROM cube WHERE id = "} + oldest};
    REQUIRE(get.step());
    body = of_version(std::string{get.blob(0)}, 3);
  }
  {
    statement put{db, std::string{"UPDATE cube SET body = ?1 WHERE id = "} + oldest};
    put.bind_blob(1, body.data(), body.size()).execute();
  }
  db.close();
  file.settings.damaged->add(static_cast<int32_t>(today - 30)); // as a question of this one does
  file.rest();
  CHECK(file.settings.damaged->empty());
  CHECK_FALSE(log.contains("has lost counts of a day"));
  CHECK(all("SELECT count(*) FROM cube") == before);
  CHECK(all(std::string{"SELECT hex(substr(body, 1, 1)) FROM cube WHERE id = "} + oldest)
        == std::vector<std::string>{"03"});
}

TEST_CASE("a damaged block of identities: those of deleted rows in it are refused, and all others "
          "of deleted rows are still known") {
  recorded_log log;
  damaged_file file;
  const auto lost = file.deleted_in(2);
  REQUIRE(lost.size() > 200);
  in_file(file.settings.file)("UPDATE identity_block SET body = zeroblob(length(body))"
                              " WHERE id >> 32 = 2");
  auto told = ask(make_sqlite_reader(file.settings), verification);
  CHECK(told.error == error_code::questions_unavailable);
  CHECK(told.detail.find("the block of a run of identities is damaged") != std::string::npos);
  CHECK(file.refused_when_sent_again() == lost);
  CHECK(file.refused_when_sent_again(true) == lost);
  for (bool again : {false, true}) {
    CAPTURE(again);
    if (again) {
      file.writer.reset();
      file.open();
      CHECK(file.refused_when_sent_again() == lost);
    }
    file.rest();
    CHECK(file.rows() == file.left);
    CHECK(file.answer() == file.before);
    CHECK(file.verified()["ok"] == true);
    auto next = make_event(again ? 70'001 : 70'000, "f", file.now_us); // of no lost day
    next.identity[8] = 1;
    auto result = file.writer->commit(*batch_of({{next}}));
    CHECK(result.requests.at(0).stored == 1);
    CHECK(result.identities_lost == lost.size());
    ++file.left;
    file.before = file.answer();
  }
  CHECK(log.count("has lost identities of deleted rows") == 1);
  CHECK(log.contains("before=2024-09-24"));
}

TEST_CASE("a filter or an index of identities that is damaged loses nothing, although rows are "
          "deleted") {
  for (std::string damage :
       {"UPDATE identity_filter SET body = zeroblob(length(body))",
        "UPDATE identity_run SET fences = substr(fences, 3)",
        "UPDATE identity_run SET digests = digests + 1024 WHERE run % 2 = 0"}) {
    CAPTURE(damage);
    recorded_log log;
    damaged_file file;
    in_file(file.settings.file)(damage);
    file.writer.reset();
    file.open();
    CHECK(file.refused_when_sent_again().empty());
    CHECK(log.count("makes what it knows of identities anew") >= 1);
    CHECK_FALSE(log.contains("has lost identities"));
    CHECK(file.verified()["ok"] == true);
  }
}

TEST_CASE(
  "the first step under a clock ten years ahead, in a database of an earlier version, deletes "
  "what was too old by the rows, and nothing else; with the right clock nothing more goes") {
  random_events random{6, {.first_day = today - 30, .days = 30}};
  const auto events = random.some(2000);
  kept_file file;
  file.commit(events);
  file.writer.reset(); // it has not rested yet
  in_file(file.settings.file)("UPDATE kept SET from_day = NULL, keep_days = 0, moved_at_us = 0");
  const auto right = file.now_us;
  file.now_us += 3650 * day_us;
  file.open();
  file.commit({make_event(1'000'000, "own", file.now_us)}); // what the service writes itself
  file.rest();
  file.rest();
  const auto kept = std::count_if(events.begin(), events.end(), [](const event& e) {
    return e.time_us >= (today - 10) * day_us;
  });
  CHECK(file.rows() == kept + 1);
  CHECK(file.rows(today - 10) == 0);
  CHECK(ask_database(file.settings.file, "SELECT from_day FROM kept") == today - 10);
  file.now_us = right;
  file.rest();
  CHECK(file.rows() == kept + 1);
  CHECK(file.verified()["ok"] == true);
  file.now_us += day_us; // and on it goes
  file.rest();
  CHECK(ask_database(file.settings.file, "SELECT from_day FROM kept") == today - 9);
  CHECK(file.rows(today - 9) == 0);
}

TEST_CASE("a new database whose first events are old keeps the rows of its last days, also when it "
          "is killed before its first step") {
  for (bool killed : {false, true}) {
    CAPTURE(killed);
    random_events random{10, {.first_day = today - 430, .days = 30}};
    kept_file file;
    file.commit(random.some(300));
    file.commit({make_event(1'000'000, "first that is kept", (today - 10) * day_us)});
    file.commit({make_event(1'000'001, "last that is not", (today - 10) * day_us - 1)});
    const auto before = file.answer();
    if (killed) {
      file.writer.reset();
      file.open();
    }
    file.rest();
    CHECK(ask_database(file.settings.file, "SELECT from_day FROM kept") == today - 10);
    CHECK(file.rows() == 1);
    CHECK(file.rows(today - 10) == 0);
    CHECK(file.answer() == before);
    CHECK(file.verified()["ok"] == true);
  }
}

TEST_CASE("rows that are too old go, but for those about a lost page; all else goes on meanwhile") {
  recorded_log log;
  random_events random{13, {.first_day = today - 30, .days = 10}};
  kept_file file;
  file.settings.keep_days = 36'500;
  file.writer.reset();
  file.open();
  for (int i = 0; i < 12; ++i) {
    auto some = random.some(1000);
    some[500].feature = i == 2 ? "a page that is lost" : "f";
    file.commit(some);
  }
  file.rest();
  file.writer.reset();
  REQUIRE(lose_page_with(file.settings.file, "a page that is lost"));
  file.settings.keep_days = 10; // holds at once
  file.open();
  auto is_swept = [&] {
    return ask_database(file.settings.file, "SELECT swept_day = from_day FROM kept") == 1;
  };
  for (int i = 0; i < 50 && !is_swept(); ++i) {
    file.rest();
    file.commit({make_event(500'000 + static_cast<uint32_t>(i), "f", file.now_us)});
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  CHECK(is_swept());
  CHECK(log.count("cannot delete rows that are too old") == 1);
  // 4000 are looked at together.
  CHECK(ask_database(file.settings.file, "SELECT min(seq) FROM event WHERE seq > 4000") == 12'001);
  CHECK(ask_database(file.settings.file, "SELECT deleted FROM kept") == 8000);
}

TEST_CASE("what another writer has deleted meanwhile is not written over") {
  random_events random{11, {.first_day = today - 30, .days = 30}};
  kept_file file;
  file.commit(random.some(500));
  file.rest();
  auto deleted = [&] { return ask_database(file.settings.file, "SELECT deleted FROM kept"); };
  const auto before = deleted();
  const auto left = file.rows();
  in_file(file.settings.file)("UPDATE kept SET deleted = deleted + 7");
  file.now_us += day_us;
  file.rest();
  CHECK(file.rows(today - 9) == 0);
  REQUIRE(file.rows() < left);
  CHECK(deleted() == before + 7 + left - file.rows());
}

TEST_CASE("without rows a clock decides nothing") {
  kept_file file;
  file.now_us += 3650 * day_us;
  file.rest(3);
  CHECK(ask_database(file.settings.file, "SELECT count(*) FROM kept WHERE from_day IS NULL") == 1);
}

TEST_CASE("days that wait for being counted anew keep their rows meanwhile") {
  recorded_log log;
  random_events random{7, {.first_day = today - 9, .days = 9}};
  kept_file file;
  for (int i = 0; i < 20; ++i)
    file.commit(random.some(100));
  file.rest();
  REQUIRE(file.rows() == 2000);
  const auto before = file.answer();
  in_file(file.settings.file)("UPDATE cube SET body = substr(body, 1, 50) WHERE id >> 32 < 19995");
  for (auto day : {today - 8, today - 7, today - 6})
    file.settings.damaged->add(static_cast<int32_t>(day)); // as questions about them do
  file.writer.reset();
  file.settings.keep_days = 2; // holds at once
  file.open();
  file.rest();
  CHECK(file.rows(today - 2) == 0);
  CHECK(log.count("has made the counts of a day anew") == 3);
  CHECK_FALSE(log.contains("has lost counts of a day"));
}

TEST_CASE("verify finds damage in cubes whose rows are deleted, in whatever part") {
  random_events random{8, {.first_day = today - 30, .days = 30}};
  kept_file file;
  for (int i = 0; i < 20; ++i)
    file.commit(random.some(100));
  file.rest();
  REQUIRE(file.rows(today - 10) == 0);
  CHECK(file.verified()["ok"] == true);
  // The last byte is of the addresses.
  in_file(file.settings.file)(
    "UPDATE cube SET body = CAST(substr(body, 1, length(body) - 1) || x'7f'"
    " AS BLOB) WHERE id = (SELECT min(id) FROM cube)");
  auto told = ask(make_sqlite_reader(file.settings), verification);
  CHECK(told.error == error_code::questions_unavailable);
  CHECK(told.detail.find("is damaged") != std::string::npos);
  file.rest(2);
  CHECK(file.verified()["ok"] == true);
}

TEST_CASE(
  "a day that was being counted anew when the process was killed keeps its rows until it is "
  "counted, and nobody needs to ask for it") {
  recorded_log log;
  random_events random{9, {.first_day = today - 9, .days = 1}};
  kept_file file;
  for (int i = 0; i < 30; ++i)
    file.commit(random.some(100));
  file.commit({make_event(999'999, "f", file.now_us)});
  file.rest();
  const auto before = file.answer();
  file.settings.damaged->add(static_cast<int32_t>(today - 9));
  file.commit({make_event(1'000'000, "f", file.now_us)}); // a step or two
  file.writer.reset();
  REQUIRE(ask_database(file.settings.file, "SELECT count(*) FROM cube WHERE length(body) = 0")
          == 1);
  file.settings.damaged = std::make_shared<damaged_days>();
  file.settings.keep_days = 2; // holds at once
  file.open();
  file.rest();
  CHECK(file.rows() == 2);
  CHECK(log.count("has made the counts of a day anew") == 1);
  CHECK_FALSE(log.contains("has lost counts of a day"));
  CHECK(json::parse(file.answer())["eventsTotal"].get<int>()
        == json::parse(before)["eventsTotal"].get<int>() + 1);
  CHECK(file.verified()["ok"] == true);
}
