// Runs of identities that are damaged, or whose database somebody else writes to: what is stored is
// known, or is refused, and never counts twice.

#include "tests/server/store/sqlite/written_file.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/second_writer.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <iterator>
#include <set>
#include <vector>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;

TEST_CASE("runs that are damaged are made anew from the rows; what is there stays known") {
  recorded_log log;
  constexpr const char* one_byte = "UPDATE identity_block SET body = CAST(substr(body, 1, 9) || "
                                   "x'01' || substr(body, 11) AS BLOB)";
  const char* damages[] = {
    one_byte,
    "UPDATE identity_block SET body = substr(body, 1, 3)",
    "DELETE FROM identity_block WHERE id % 7 = 0",
    "UPDATE identity_filter SET body = zeroblob(length(body))",
    "DELETE FROM identity_filter WHERE id IN (SELECT min(id) FROM identity_filter)",
    "UPDATE identity_run SET fences = substr(fences, 9)",
    "UPDATE identity_run SET digests = digests + 5000",
  };
  for (const auto* damage : damages) {
    CAPTURE(damage);
    temp_dir dir;
    {
      written_file file{dir.path("a.db")};
      for (uint64_t i = 0; i < 16'000; i += 500) {
        file.db.run("BEGIN");
        for (uint64_t at = i; at < i + 500; ++at)
          file.put(identity_of(at));
        file.commit(500);
      }
      CHECK(file.number("SELECT count(*) FROM identity_run") > 0);
      file.db.run(damage);
    }
    std::optional<written_file> file{std::in_place, dir.path("a.db")};
    size_t wrong = 0;
    auto ask_all = [&] {
      for (uint64_t i = 0; i < 16'000; ++i)
        wrong += file->known->add(identity_of(i));
    };
    try {
      ask_all();
    } catch (const damaged_run& e) { // is seen only when it is read
      CHECK(mark_damaged(file->db, e));
      file.emplace(dir.path("a.db"));
      wrong = 0;
      ask_all();
    }
    CHECK(wrong == 0);
    CHECK(file->agrees());
    CHECK(file->known->lost() == 0);
    CHECK_FALSE(file->known->may_be_lost(identity_of(16'000), 0));
  }
  CHECK(log.count("makes what it knows of identities anew") >= std::size(damages));
  CHECK_FALSE(log.contains("has lost identities"));
}

TEST_CASE("no runs are made of rows when somebody else has written since they were read") {
  temp_dir dir;
  {
    written_file file{dir.path("a.db")};
    file.db.run("BEGIN");
    for (uint64_t i = 0; i < 20'000; ++i)
      file.put(identity_of(i));
    file.db.run("COMMIT");
  }
  sqlite_connection db;
  db.open(dir.path("a.db"), sqlite_connection::access::read_write);
  {
    second_writer other{db.handle(), dir.path("a.db"), 1};
    CHECK_THROWS_AS(identities(db, small_runs), written_by_others);
  }
  CHECK_NOTHROW(identities(db, small_runs));
}

TEST_CASE(
  "a block that is lost with deleted rows: what may have been in it is refused, all else is "
  "known or new, also after kills while the run is made anew") {
  constexpr uint64_t all = 16'000, deleted = 12'000;
  constexpr int64_t ten_days_us = 10 * int64_t{86'400'000'000};
  temp_dir dir;
  std::vector<digest> block;
  digest_range gap;
  {
    written_file file{dir.path("a.db")};
    for (uint64_t i = 0; i < all; i += 500) {
      file.db.run("BEGIN");
      for (uint64_t at = i; at < i + 500; ++at)
        file.put(identity_of(at));
      file.commit(500);
    }
    identity_sums gone;
    for (uint64_t i = 0; i < deleted; ++i)
      gone.add(identity_of(i));
    file.db.run("DELETE FROM event WHERE seq <= 12000; UPDATE kept SET from_day = 10, deleted = "
                + std::to_string(gone.number) + ", deleted_sum = " + std::to_string(gone.sum));
    REQUIRE(file.agrees());
    identity_tables tables{file.db};
    auto runs = tables.runs();
    auto large =
      std::find_if(runs.begin(), runs.end(), [](const auto& r) { return r.blocks() > 4; });
    REQUIRE(large != runs.end());
    block = tables.block(*large, 3);
    gap = {tables.block(*large, 2).back(), tables.block(*large, 4).front()};
    file.db.run("UPDATE identity_block SET body = x'00' WHERE id = "
                + std::to_string(large->number << 32 | 3));
    try {
      file.known->add(block[0]);
      FAIL("the damage is not seen");
    } catch (const damaged_run& e) {
      CHECK(mark_damaged(file.db, e));
    }
  }
  std::set<digest> lost;
  for (uint64_t i = 0; i < deleted; ++i)
    if (std::binary_search(block.begin(), block.end(), identity_of(i)))
      lost.insert(identity_of(i));
  REQUIRE(lost.size() > 500);
  for (std::string most : {"0", "1", "1"}) { // runs that are written before it is killed
    auto already = ask_database(dir.path("a.db"), "SELECT count(*) FROM identity_run");
    in_file(dir.path("a.db"))("CREATE TRIGGER killed BEFORE INSERT ON identity_run "
                              "WHEN (SELECT count(*) FROM identity_run) >= "
                              + std::to_string(already) + " + " + most
                              + " BEGIN SELECT RAISE(ABORT, 'killed'); END");
    CHECK_THROWS_AS(written_file{dir.path("a.db")}, sqlite_error);
    in_file(dir.path("a.db"))("DROP TRIGGER killed");
  }
  for (bool again : {false, true}) {
    CAPTURE(again);
    written_file file{dir.path("a.db")};
    CHECK(file.agrees());
    CHECK(file.known->lost() == static_cast<int64_t>(lost.size()));
    size_t wrong = 0;
    for (uint64_t i = 0; i < all; ++i)
      if (lost.contains(identity_of(i)))
        wrong += !file.known->may_be_lost(identity_of(i), 1);
      else
        wrong += file.known->add(identity_of(i));
    CHECK(wrong == 0);
    size_t refused = 0;
    for (uint64_t i = all; i < 2 * all; ++i) {
      auto one = identity_of(i);
      bool between = gap.first <= one && one <= gap.last;
      wrong += file.known->may_be_lost(one, ten_days_us - 1) != between;
      wrong += file.known->may_be_lost(one, ten_days_us);
      refused += between;
    }
    CHECK(wrong == 0);
    CHECK(refused < all / 2);
  }
}
