#pragma once
/// A PostgreSQL whose counts are held against all events that were stored in it.

#include "server/store/postgres/cube_tally.hpp"
#include "server/store/postgres/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/reference_statistics.hpp"

#include <map>
#include <string>
#include <vector>

namespace phi::testing {

using namespace std::chrono_literals;

struct counted_server {
  store::postgres_settings settings(const std::string& instance) const {
    return {.url = server.url(),
            .instance = instance,
            .connect_timeout = 2s,
            .commit_timeout = 5s,
            .query_timeout = 20s,
            .keep_days = 100'000,
            .copy_from = 30,
            .cubes = {.tail_events = 60, .tail_age = 0s, .fan_in = 3, .merged_bytes = 40'000}};
  }
  store_port_ptr& writer(const std::string& instance) {
    auto& out = writers[instance];
    if (!out) {
      out = store::make_postgres_store(settings(instance));
      REQUIRE(out->open().why() == "");
    }
    return out;
  }
  void commit(const std::vector<event>& some, const std::string& instance = "one") {
    auto result = writer(instance)->commit(*batch_of({some}));
    INFO(result.detail);
    REQUIRE(result.error == error_code::none);
    CHECK(result.requests[0].stored == some.size());
    events.insert(events.end(), some.begin(), some.end());
  }
  /// All that is due.
  void count(const maintenance_port_ptr& by) {
    for (bool more = true; more;) {
      auto counted = by->count();
      INFO(counted.ended.why());
      REQUIRE(counted.ended);
      more = counted.more;
    }
  }
  void count() { count(counter); }

  statistics::tally tally(const statistics::tally_query& query) {
    if (!connection.is_open())
      connection.connect(
        {.url = server.url(), .connect_timeout = 2s, .for_writing = false, .name = "test"});
    connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    counts.begin();
    auto out = counts.count(query);
    connection.run("COMMIT");
    return out;
  }
  bool agrees(const statistics::tally_query& query) {
    return tally(query) == reference_tally(events, query);
  }
  bool agrees() { return agrees(everything({-100'000'000, 100'000'000})); }

  postgres_server server;
  std::map<std::string, store_port_ptr> writers;
  maintenance_port_ptr counter = store::make_postgres_maintenance(settings("counter"));
  std::vector<event> events;
  store::postgres_connection connection;
  store::cube_tally counts{connection};
};

} // namespace phi::testing
