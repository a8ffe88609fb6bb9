// Rows that are too old are deleted, a few at a time: what was counted of them stays, and what they
// were sent again for does not count twice.

#include "server/store/sqlite/cube_reader.hpp"
#include "server/store/sqlite/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

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
  file.rest(2);
  CHECK(total() < before);
  CHECK(total() > before * 8 / 10);
  CHECK(log.contains("has lost counts of a day"));
  CHECK(file.verified()["ok"] == true);
}
