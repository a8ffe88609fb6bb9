// Halving down to the events that a database refuses, without a database; and on the embedded one.

#include "server/store/halving.hpp"
#include "tests/support/doctest.hpp"

#include <cmath>
#include <random>
#include <set>

using namespace phi;
using namespace phi::store;

namespace {

/// Refuses what it is told to, and writes down what it took.
struct picky_database {
  std::set<uint32_t> bad;
  std::vector<uint32_t> taken;
  std::vector<uint32_t> refused;
  size_t tries = 0;

  void offer(uint32_t count) {
    std::vector<batch_piece> pieces;
    for (uint32_t i = 0; i < count; ++i)
      pieces.push_back({0, i, 1});
    auto take = [&](std::span<const batch_piece> some) -> outcome {
      ++tries;
      for (const auto& piece : some)
        if (bad.contains(piece.first))
          return outcome::failure("bad " + std::to_string(piece.first));
      for (const auto& piece : some)
        taken.push_back(piece.first);
      return {};
    };
    auto refuse = [&](const batch_piece& piece, const std::string& why) {
      CHECK(why == "bad " + std::to_string(piece.first));
      refused.push_back(piece.first);
    };
    take_all_but_culprits(pieces, true, take, refuse);
  }
};

} // namespace

TEST_CASE("halving refuses the culprits and takes everybody else, in order") {
  std::mt19937 random{7};
  for (uint32_t count : {1U, 2U, 3U, 7U, 64U, 1000U})
    for (uint32_t culprits : {0U, 1U, 2U, 5U, 1000U}) {
      picky_database db;
      for (uint32_t i = 0; i < std::min(culprits, count); ++i)
        db.bad.insert(culprits == 1000U ? i : static_cast<uint32_t>(random() % count));
      db.offer(count);
      CHECK(db.refused == std::vector<uint32_t>(db.bad.begin(), db.bad.end()));
      std::vector<uint32_t> innocent;
      for (uint32_t i = 0; i < count; ++i)
        if (!db.bad.contains(i))
          innocent.push_back(i);
      CHECK(db.taken == innocent);
    }
}

TEST_CASE("halving asks at most 2 k (log2 n + 1) times for k culprits among n") {
  std::mt19937 random{11};
  for (uint32_t culprits : {1U, 3U, 20U}) {
    picky_database db;
    while (db.bad.size() < culprits)
      db.bad.insert(static_cast<uint32_t>(random() % 10'000));
    db.offer(10'000);
    CHECK(db.tries <= 2 * culprits * (std::log2(10'000) + 1));
    CHECK(db.refused.size() == culprits);
  }
}

TEST_CASE("an atomic request is one piece: all its events are refused together") {
  commit_batch batch;
  batch.requests.resize(3);
  batch.requests[0].events.resize(2);
  batch.requests[1].events.resize(2);
  batch.requests[1].atomic = true;
  auto pieces = pieces_of(batch);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[2].events == 2);
  commit_result result;
  result.requests.resize(3);
  refuse(result, pieces[0], "too long");
  refuse(result, pieces[2], "too wide");
  CHECK(result.requests[0].refused == 1);
  CHECK(result.requests[1].refused == 2);
  REQUIRE(result.refused.size() == 3);
  CHECK(result.refused[0].code == error_code::refused_by_store);
  CHECK(result.refused[1].request == 1);
  CHECK(result.refused[2].at == 1);
  CHECK(result.refused[2].code == error_code::atomic_refused);
  CHECK(result.refused[2].detail == "too wide");
}
