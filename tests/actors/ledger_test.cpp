#include "actors/ledger.hpp"
#include "tests/support/doctest.hpp"

#include <algorithm>
#include <chrono>
#include <random>

using namespace phi;

TEST_CASE("ledger: the identity holds after every step") {
  phi::ledger ledger;
  std::mt19937 random{7};
  uint64_t queued = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto n = random() % 50;
    switch (random() % 3) {
      case 0:
        ledger.receive(n, random() % 5);
        queued += n;
        break;
      case 1:
        n = std::min<uint64_t>(n, queued);
        ledger.settle(n - n / 3, n / 3);
        queued -= n;
        break;
      default:
        n = std::min<uint64_t>(n, queued);
        ledger.refuse(n);
        queued -= n;
    }
    REQUIRE(ledger.counts().balanced());
    REQUIRE(ledger.counts().in_queue == queued);
  }
  ledger.receive(3, 0);
  queued += 3;
  CHECK_FALSE(ledger.counts().settled());
  ledger.refuse(queued);
  CHECK(ledger.counts().settled());
}
