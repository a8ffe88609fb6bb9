#include "actors/retry_wait.hpp"
#include "tests/support/doctest.hpp"

#include <set>

using namespace phi;
using namespace std::chrono_literals;

TEST_CASE("retry wait: doubles up to its longest, each time spread over the upper half") {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    retry_wait wait{seed};
    for (auto whole : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms, 5000ms}) {
      auto next = wait.next();
      CHECK(next >= whole / 2);
      CHECK(next <= whole);
    }
  }
}

TEST_CASE("retry wait: after a success it begins anew") {
  retry_wait wait{1};
  for (int i = 0; i < 20; ++i)
    wait.next();
  wait.succeeded();
  CHECK(wait.next() <= 100ms);
  CHECK(wait.next() >= 100ms);
}

TEST_CASE("retry wait: instances that fail together do not come back together") {
  std::set<duration> firsts;
  auto least = duration::max();
  auto most = duration::zero();
  for (uint32_t seed = 1; seed <= 100; ++seed) {
    auto next = retry_wait{seed}.next();
    firsts.insert(next);
    least = std::min(least, next);
    most = std::max(most, next);
  }
  CHECK(firsts.size() > 90);
  CHECK(least < 60ms);
  CHECK(most > 90ms);
  CHECK(retry_wait{}.next() != retry_wait{}.next()); // without a seed no two are alike
}
