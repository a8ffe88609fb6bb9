#include "actors/health_quorum.hpp"
#include "tests/support/doctest.hpp"

#include <chrono>

using namespace phi;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0{};

} // namespace

TEST_CASE("quorum: late is who has not answered and not moved; stuck is who is so for the limit") {
  health_quorum quorum{2s, 10s};
  quorum.watch("a", t0);
  quorum.watch("b", t0);
  CHECK(quorum.late(t0 + 100s).empty()); // nobody was asked
  CHECK(quorum.complete());
  quorum.pinged("a");
  quorum.pinged("b");
  CHECK(quorum.late(t0 + 1s).empty()); // there is patience
  quorum.answered("a", 1, t0 + 1s);
  CHECK_FALSE(quorum.complete());
  auto late = quorum.late(t0 + 5s);
  REQUIRE(late.size() == 1);
  CHECK(late[0].name == "b");
  CHECK_FALSE(late[0].stuck);
  quorum.seen("b", 7, 0s, t0 + 8s); // it works, although it does not answer
  CHECK_FALSE(quorum.late(t0 + 17s)[0].stuck);
  quorum.seen("b", 7, 0s, t0 + 18s); // the same progress is none
  CHECK(quorum.late(t0 + 18s)[0].stuck);
  quorum.forget("b");
  CHECK(quorum.late(t0 + 18s).empty());
}

TEST_CASE("quorum: time without a processor, and time in which all stood still, is no silence") {
  health_quorum quorum{2s, 10s};
  quorum.watch("a", t0);
  quorum.pinged("a");
  quorum.seen("a", 0, 9s, t0 + 11s);
  REQUIRE(quorum.late(t0 + 11s).size() == 1);
  CHECK(quorum.late(t0 + 11s)[0].silent == duration{2s});
  CHECK(quorum.late(t0 + 11s)[0].starved == duration{9s});
  CHECK_FALSE(quorum.late(t0 + 11s)[0].stuck);
  quorum.stood_still(1s);
  CHECK(quorum.late(t0 + 11s).empty());
  quorum.seen("a", 0, 9s, t0 + 20s);
  CHECK(quorum.late(t0 + 20s)[0].stuck);
  quorum.seen("a", 0, 3s, t0 + 20s); // another thread: its figures begin anew
  CHECK(quorum.late(t0 + 20s)[0].starved == duration{0s});
}
