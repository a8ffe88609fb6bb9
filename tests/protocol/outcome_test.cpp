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
  CHECK(failed.how() == outcome::kind::failure);
  auto lost = outcome::failure("moved away", outcome::kind::out_of_reach);
  CHECK_FALSE(static_cast<bool>(lost));
  CHECK(lost.how() == outcome::kind::out_of_reach);
  // An exception without a text is no success.
  CHECK_FALSE(static_cast<bool>(outcome::failure("")));
  CHECK(outcome::failure("").why() == "for an unknown reason");
}
