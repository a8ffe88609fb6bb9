#include "actors/ledger.hpp"
#include "tests/support/doctest.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

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
        ledger.refuse(n, error_code::overloaded);
        queued -= n;
    }
    REQUIRE(ledger.counts().balanced());
    REQUIRE(ledger.counts().in_queue == queued);
  }
  ledger.receive(3, 0);
  queued += 3;
  CHECK_FALSE(ledger.counts().settled());
  ledger.refuse(queued, error_code::stopping);
  CHECK(ledger.counts().settled());
}

TEST_CASE("ledger: what is rejected is counted by its reason, and the reasons add up") {
  phi::ledger ledger;
  ledger.receive(100, 3);
  ledger.refuse(10, error_code::overloaded);
  ledger.refuse(11, error_code::stopping);
  ledger.refuse(12, error_code::store_unavailable);
  ledger.refuse(6, error_code::spool_full);
  ledger.refuse(7, error_code::spool_failed);
  ledger.refuse(14, error_code::outcome_unknown);
  ledger.refuse(15, error_code::refused_by_store);
  ledger.drop(16);
  std::string told;
  uint64_t all = 0;
  for (const auto& [reason, count] : ledger.rejected()) {
    told += reason + " " + std::to_string(count) + ", ";
    all += count;
  }
  CHECK(told
        == "invalid 3, overloaded 10, stopping 11, store_unavailable 12, spool_unavailable 13, "
           "outcome_unknown 14, refused_by_store 15, own 16, ");
  CHECK(all == ledger.counts().rejected);
  CHECK(ledger.counts().in_queue == 9);
}
