// The trial of a PostgreSQL that has refused: a batch without events, which says whether events
// could be written.

#include "server/store/postgres/ports.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/postgres_server.hpp"

#include <string>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

store_port_ptr store_of(const std::string& url) {
  return make_postgres_store(
    {.url = url, .instance = "one", .connect_timeout = 2s, .commit_timeout = 5s});
}

} // namespace

TEST_CASE("PostgreSQL: a trial without the rights to write is refused, and passes with them") {
  postgres_server server;
  auto owner = store_of(server.url());
  REQUIRE(owner->open().why() == "");
  CHECK(owner->close().why() == "");
  server.ask("CREATE ROLE limited LOGIN");
  server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited");
  server.ask("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited");
  auto url = server.url();
  url.replace(url.find("phi@"), 4, "limited@");
  auto store = store_of(url);
  REQUIRE(store->open().why() == "");
  commit_batch trial;
  for (const std::string table : {"event", "identity", "batch", "uncounted"}) {
    CAPTURE(table);
    server.ask("REVOKE INSERT ON " + table + " FROM limited");
    auto refused = store->commit(trial);
    CHECK(refused.error == error_code::store_unavailable);
    CHECK(refused.reached);
    CHECK_FALSE(refused.never);
    CHECK(refused.refused.empty());
    CHECK_MESSAGE(refused.detail.find("permission denied for table " + table) != std::string::npos,
                  refused.detail);
    // A batch with events is not taken for one whose data are at fault.
    auto batch = batch_of({{make_event(1)}});
    auto kept = store->commit(*batch);
    CHECK(kept.error == error_code::store_unavailable);
    CHECK(kept.refused.empty());
    server.ask("GRANT INSERT ON " + table + " TO limited");
    CHECK(store->commit(trial).error == error_code::none);
    trial.reopen();
  }
  CHECK(server.number("SELECT count(*) FROM event") == 0); // a trial leaves nothing
  CHECK(server.number("SELECT count(*) FROM identity") == 0);
  CHECK(server.number("SELECT count(*) FROM batch") == 0);
  CHECK(server.number("SELECT count(*) FROM uncounted") == 0);
  CHECK(store->close().why() == "");
}
