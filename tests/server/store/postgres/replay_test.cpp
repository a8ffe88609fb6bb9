// What PostgreSQL does with a batch that is tried again, as the spool does.

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

/// A store over an empty database.
struct replayed {
  int64_t number(const std::string& sql) const { return server.number(sql); }
  void run(const std::string& sql) const { server.ask(sql); }

  postgres_server server;
  store_port_ptr store = make_postgres_store(
    {.url = server.url(), .instance = "one", .connect_timeout = 2s, .commit_timeout = 5s});
};

} // namespace

TEST_CASE("PostgreSQL: a batch that is tried again names the same events as refused") {
  replayed db;
  auto& store = db.store;
  REQUIRE(store->open().why() == "");
  db.run("ALTER TABLE event ADD CHECK (feature <> 'poison')");
  auto batch = batch_of({{make_event(1), make_event(2, "poison"), make_event(3)},
                         {make_event(4), make_event(5), make_event(6, "poison")}});
  for (bool again : {false, true}) {
    CAPTURE(again);
    batch->reopen();
    batch->again = again; // as by the spool, when the first answer came late
    auto result = store->commit(*batch);
    REQUIRE(result.error == error_code::none);
    REQUIRE(result.refused.size() == 2);
    CHECK(result.refused[0].request == 0);
    CHECK(result.refused[0].at == 1);
    CHECK(result.refused[1].request == 1);
    CHECK(result.refused[1].at == 2);
    REQUIRE(result.requests.size() == 2); // each is told of its own events
    for (const auto& counts : result.requests) {
      CHECK(counts.stored == 2);
      CHECK(counts.duplicates == 0);
      CHECK(counts.refused == 1);
    }
  }
  CHECK(db.number("SELECT count(*) FROM event") == 4);

  // One that was refused has been sent again since, and stored: it is known, the other is named.
  db.run("ALTER TABLE event DROP CONSTRAINT event_feature_check");
  REQUIRE(store->commit(*batch_of({{make_event(2)}})).error == error_code::none);
  batch->reopen();
  auto result = store->commit(*batch);
  REQUIRE(result.refused.size() == 1);
  CHECK(result.requests.at(0).stored == 3);
  CHECK(result.requests.at(0).duplicates == 0);
  CHECK(result.requests.at(0).refused == 0);
  CHECK(result.requests.at(1).stored == 1);
  CHECK(result.requests.at(1).duplicates == 1);
  CHECK(result.requests.at(1).refused == 1);

  // Identities have aged out: nobody knows which were refused, so a spooled one waits for a word.
  db.run("DELETE FROM identity");
  batch->parts.front().taken_us = 1;
  batch->reopen();
  auto unknown = store->commit(*batch);
  CHECK(unknown.never);
  CHECK(unknown.refused.empty());
  CHECK(unknown.detail.find("refused 2 of its events, and which ones is known no longer")
        != std::string::npos);
  batch->parts.front().taken_us = 0;
  batch->reopen();
  auto wanted = store->commit(*batch);
  CHECK(wanted.refused.size() == 6);
  CHECK(wanted.requests.at(0).refused == 3);
  CHECK(wanted.requests.at(1).refused == 3);
}

TEST_CASE("PostgreSQL: a spooled batch from before the identities that are kept is not stored by "
          "itself: its events may count already") {
  replayed db;
  auto& store = db.store;
  REQUIRE(store->open().why() == "");
  const int64_t day_us = 86'400'000'000;
  // Sent here and to an instance that spooled it on day 100; then the identity aged out.
  REQUIRE(store->commit(*batch_of({{make_event(1)}})).error == error_code::none);
  db.run("DELETE FROM identity");
  db.run("UPDATE about SET value = 200 WHERE name = 'raw_from_day'");
  auto old = batch_of({{make_event(1)}});
  old->again = true;
  old->parts.front().taken_us = 100 * day_us + 1;
  auto refused = store->commit(*old);
  CHECK(refused.error == error_code::store_unavailable);
  CHECK(refused.never);
  CHECK(refused.detail
        == "it was taken on 1970-04-11, and which events are known is kept from 1970-07-20 on: some"
           " may count already; phictl spool replay stores it all the same");
  CHECK(db.number("SELECT count(*) FROM event") == 1);
  auto young = batch_of({{make_event(2)}}); // an innocent one, of the first day that is kept
  young->again = true;
  young->parts.front().taken_us = 200 * day_us;
  CHECK(store->commit(*young).requests.at(0).stored == 1);
  young->parts.front().taken_us = 100 * day_us; // known by its own id: its age does not matter
  young->reopen();
  CHECK(store->commit(*young).requests.at(0).stored == 1);
  CHECK(db.number("SELECT count(*) FROM event") == 2);
  old->reopen();
  old->parts.front().taken_us = 0; // somebody wants it
  CHECK(store->commit(*old).requests.at(0).stored == 1);
  CHECK(db.number("SELECT count(*) FROM event") == 3);
}
