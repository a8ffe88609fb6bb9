// A question is answered exactly once.

#include "protocol/reply.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/replies.hpp"

using namespace phi;
using namespace phi::testing;

TEST_CASE("reply: the first answer counts, and the end of the duty is none behind it") {
  auto replies = std::make_shared<recorded_replies>();
  {
    query_reply reply{replies, 7};
    reply.answer({.body = "first"});
    reply.answer({.body = "second"});
  }
  CHECK(replies->answers.at(7).body == "first");
  CHECK_FALSE(replies->twice);
}

TEST_CASE("reply: forgotten, it says that the service stops") {
  auto replies = std::make_shared<recorded_replies>();
  {
    query_reply forgotten{replies, 8};
    CHECK(replies->answers.empty());
  }
  CHECK(replies->answers.at(8).error == error_code::stopping);
  CHECK(replies->answers.at(8).detail == "the service is stopping");
}

TEST_CASE("reply: the duty moves along, and nobody has it twice") {
  auto replies = std::make_shared<recorded_replies>();
  {
    query_reply reply{replies, 9};
    auto moved = std::make_unique<query_reply>(std::move(reply));
    CHECK(replies->answers.empty());
    moved->answer({.body = "once"});
  }
  CHECK(replies->answers.at(9).body == "once");
  CHECK_FALSE(replies->twice);
  { query_reply nobody; } // without a sink there is nobody to tell
  CHECK(replies->answers.size() == 1);
}
