// How something ended: what callers ask of it.

#include "protocol/outcome.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;

TEST_CASE("an outcome: success has no reason, a failure always one, and its kind") {
  outcome fine;
  CHECK(static_cast<bool>(fine));
  CHECK(fine.why() == "");
  auto failed = outcome::failure("disk full");
  CHECK_FALSE(static_cast<bool>(failed));
  CHECK(failed.why() == "disk full");
  CHECK(failed.is(outcome::kind::failure));
  auto lost = outcome::failure("moved away", outcome::kind::out_of_reach);
  CHECK_FALSE(static_cast<bool>(lost));
  CHECK(lost.is(outcome::kind::out_of_reach));
  // An exception without a text is no success.
  CHECK_FALSE(static_cast<bool>(outcome::failure("")));
  CHECK(outcome::failure("").why() == "for an unknown reason");
}

TEST_CASE("a result: a value, or why there is none") {
  result<std::string> value{"salt"};
  CHECK(static_cast<bool>(value));
  CHECK(*value == "salt");
  CHECK(value->size() == 4);
  CHECK(value.why() == "");
  result<std::string> none = outcome::failure("disk full");
  CHECK_FALSE(static_cast<bool>(none));
  CHECK(none.why() == "disk full");
  CHECK_THROWS_AS((void)none->size(), std::bad_optional_access);
  result<std::string> nothing = outcome{};
  CHECK_FALSE(static_cast<bool>(nothing));
  CHECK(nothing.why() == "for an unknown reason");
}
