// Events on their way: who is told when a turn dies, and who decides over a batch.

#include "protocol/ingest.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/replies.hpp"

using namespace phi;
using namespace phi::testing;

TEST_CASE("ingest: a turn that dies tells those who wait that nothing of theirs was stored") {
  auto replies = std::make_shared<recorded_replies>();
  {
    ingest_turn turn{replies};
    turn.requests.push_back({.to = 1});
    turn.requests.push_back({.to = 2, .awaited = false}); // the service's own
    turn.requests.push_back({.to = 3});
  }
  REQUIRE(replies->outcomes.size() == 2);
  for (ticket to : {1, 3}) {
    CHECK(replies->outcomes.at(to).error == error_code::stopping);
    CHECK(replies->outcomes.at(to).retry_after_s == 1);
  }
  {
    ingest_turn taken{replies};
    taken.requests.push_back({.to = 4});
    taken.requests.clear();
  }
  ingest_turn{nullptr}.requests.push_back({.to = 5});
  CHECK(replies->outcomes.size() == 2);
}

TEST_CASE("ingest: a request knows how large its events are") {
  event small;
  event large;
  large.feature = "ab";
  large.extra = "{}";
  CHECK(small.footprint() == sizeof(event));
  CHECK(large.footprint() == sizeof(event) + 4);
  ingest_request request;
  request.hold({small, large});
  CHECK(request.bytes == 2 * sizeof(event) + 4);
  CHECK(request.events.size() == 2);
}

TEST_CASE("ingest: a batch is committed or abandoned, never both; who decided may say it again") {
  commit_batch committed;
  CHECK_FALSE(committed.committing());
  CHECK(committed.begin_commit());
  CHECK(committed.committing());
  CHECK(committed.begin_commit());
  CHECK_FALSE(committed.abandon());
  CHECK_FALSE(committed.abandoned());
  committed.reopen(); // rolled back: all is open again
  CHECK_FALSE(committed.committing());
  CHECK(committed.abandon());
  CHECK(committed.abandoned());
  CHECK(committed.abandon());
  CHECK_FALSE(committed.begin_commit());
  CHECK_FALSE(committed.committing());
}
