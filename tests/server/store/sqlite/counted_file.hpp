#pragma once
/// A database with its writer and a reading connection that stays open, which knows all its events.

#include "server/store/sqlite/cube_reader.hpp"
#include "server/store/sqlite/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/reference_statistics.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <optional>
#include <string>
#include <vector>

namespace phi::testing {

using namespace phi::statistics;
using namespace phi::store;

inline constexpr slot_range all_slots{-100'000'000, 100'000'000};

inline const cube_limits small_cubes{
  .tail_events = 60, .tail_age = std::chrono::seconds{0}, .fan_in = 3, .merged_bytes = 40'000};

struct counted_file {
  explicit counted_file(cube_limits limits = small_cubes) {
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

} // namespace phi::testing
