// The room of rows that have gone: the disk gets it back, but for what new rows will take.

#include "server/store/sqlite/database_file.hpp"
#include "server/store/sqlite/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;

namespace {

constexpr int64_t today = 20'000;

/// Rows of ten days are kept, and take about 2 KiB each.
struct shrinking_file {
  shrinking_file() {
    settings.file = dir.path("a.db");
    settings.busy_timeout = std::chrono::seconds{2};
    settings.query_timeout = std::chrono::seconds{20};
    settings.keep_days = 10;
    settings.cubes.tail_events = 100;
    settings.cubes.tail_age = std::chrono::seconds{0};
    settings.identities.generation = 500;
    settings.now_us = [] { return today * day_us; };
  }
  void open() {
    writer = make_sqlite_store(settings);
    REQUIRE(writer->open().why() == "");
  }
  void commit(int64_t day, int events) {
    std::vector<event> some;
    for (int i = 0; i < events; ++i) {
      some.push_back(make_event(++made, "f", day * day_us));
      some.back().extra = R"({"x":")" + std::string(2000, 'x') + R"("})";
    }
    REQUIRE(writer->commit(*batch_of({some})).error == error_code::none);
  }
  int64_t number(const std::string& pragma) {
    return ask_database(settings.file, "PRAGMA " + pragma);
  }
  int64_t used() { return number("page_count") - number("freelist_count"); }

  temp_dir dir;
  sqlite_settings settings;
  store_port_ptr writer;
  uint32_t made = 0;
};

} // namespace

TEST_CASE(
  "the disk gets back the room of rows that have gone, but for what new ones will take; of a "
  "file of an earlier version that of a backup") {
  for (bool is_earlier : {false, true}) {
    CAPTURE(is_earlier);
    shrinking_file file;
    if (is_earlier) {
      sqlite_connection db;
      db.open(file.settings.file, sqlite_connection::access::read_write);
      db.run("CREATE TABLE one (a); DROP TABLE one");
    }
    file.open();
    REQUIRE(file.number("auto_vacuum") == (is_earlier ? 0 : 2));
    for (int i = 0; i < 12; ++i)
      file.commit(today - 30, 500);
    file.commit(today, 500);
    const auto before = file.number("page_count");
    REQUIRE(before > 3000);
    for (int i = 0; i < 100; ++i)
      file.writer->tidy_up();
    CHECK(ask_database(file.settings.file, "SELECT count(*) FROM event") == 500);
    const auto used = file.used();
    CHECK(used < before / 5);
    CHECK(file.number("freelist_count") <= (is_earlier ? before : 256));
    CHECK(ask(make_sqlite_reader(file.settings), verification).body.find(R"("ok":true)")
          != std::string::npos);
    const auto copy = file.dir.path("copy.db");
    {
      sqlite_connection db;
      db.open(file.settings.file, sqlite_connection::access::read_only);
      patience endless;
      back_up(db, copy, endless);
    }
    CHECK(ask_database(copy, "PRAGMA auto_vacuum") == 2);
    CHECK(std::filesystem::file_size(copy) <= static_cast<uint64_t>(used + 2) * 4096);
    file.writer.reset(); // its log is written back
    const auto left = std::filesystem::file_size(file.settings.file);
    CHECK(left == static_cast<uint64_t>(file.number("page_count")) * 4096);
    if (is_earlier)
      CHECK(left >= static_cast<uint64_t>(before) * 4096);
    else
      CHECK(left <= static_cast<uint64_t>(used + 256) * 4096);
  }
}

TEST_CASE("a file gives back no more than is left over: an eighth of it waits for new rows") {
  shrinking_file file;
  file.open();
  for (int i = 0; i < 12; ++i)
    file.commit(today - 30 + i / 11 * 30, 500); // the last one stays
  for (int i = 0; i < 100; ++i)
    file.writer->tidy_up();
  const auto pages = file.number("page_count");
  for (int i = 0; i < 10; ++i)
    file.commit(today, 10); // take of what is free
  CHECK(file.number("page_count") == pages);
}
