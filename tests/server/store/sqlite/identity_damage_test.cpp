// Runs of identities that are damaged, or whose database somebody else writes to: what is stored is
// known, or is refused, and never counts twice.

#include "tests/server/store/sqlite/lost_page.hpp"
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

namespace {

event event_of(const digest& identity, int64_t time_us) {
  return {.time_us = time_us, .identity = identity};
}

/// A start that is killed after it has written so many runs.
void killed_in_start(const std::string& path, const std::string& runs) {
  auto already = ask_database(path, "SELECT count(*) FROM identity_run");
  in_file(path)("CREATE TRIGGER killed BEFORE INSERT ON identity_run "
                "WHEN (SELECT count(*) FROM identity_run) >= "
                + std::to_string(already) + " + " + runs
                + " BEGIN SELECT RAISE(ABORT, 'killed'); END");
  CHECK_THROWS_AS(written_file{path}, sqlite_error);
  in_file(path)("DROP TRIGGER killed");
}

} // namespace

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
      file.fill(0, 16'000);
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
    CHECK_FALSE(file->known->may_be_lost(event_of(identity_of(16'000), 0)));
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
  for (bool is_last : {false, true}) {
    CAPTURE(is_last);
    temp_dir dir;
    std::vector<digest> block;
    digest_range gap;
    {
      written_file file{dir.path("a.db")};
      file.fill(0, all);
      identity_sums gone;
      for (uint64_t i = 0; i < deleted; ++i)
        gone.add(identity_of(i));
      file.db.run("DELETE FROM event WHERE seq <= 12000; UPDATE kept SET from_day = 10, deleted = "
                  + std::to_string(gone.number) + ", deleted_sum = " + std::to_string(gone.sum));
      REQUIRE(file.agrees());
      identity_tables tables{file.db};
      auto large = file.large_run();
      const auto number = is_last ? large.blocks() - 1 : 3;
      block = tables.block(large, number);
      gap.first = tables.block(large, number - 1).back();
      gap.last.fill(0xff);
      if (!is_last)
        gap.last = tables.block(large, number + 1).front();
      file.db.run((is_last ? "DELETE FROM identity_block WHERE id = "
                           : "UPDATE identity_block SET body = x'00' WHERE id = ")
                  + std::to_string(large.number << 32 | static_cast<int64_t>(number)));
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
    for (std::string most : {"0", "1", "1"}) // runs that are written before it is killed
      killed_in_start(dir.path("a.db"), most);
    for (bool again : {false, true}) {
      CAPTURE(again);
      written_file file{dir.path("a.db")};
      CHECK(file.agrees());
      CHECK(file.known->lost() == static_cast<int64_t>(lost.size()));
      size_t wrong = 0;
      for (uint64_t i = 0; i < all; ++i)
        if (lost.contains(identity_of(i)))
          wrong += !file.known->may_be_lost(event_of(identity_of(i), 1));
        else
          wrong += file.known->add(identity_of(i));
      CHECK(wrong == 0);
      size_t refused = 0;
      for (uint64_t i = all; i < 2 * all; ++i) {
        auto old = event_of(identity_of(i), ten_days_us - 1);
        const bool between = gap.first <= old.identity && old.identity <= gap.last;
        wrong += file.known->may_be_lost(old) != between;
        old.no_id = true;
        wrong += file.known->may_be_lost(old);
        auto now = event_of(identity_of(i), ten_days_us);
        wrong += file.known->may_be_lost(now);
        now.no_time = true;
        wrong += file.known->may_be_lost(now) != between;
        refused += between;
      }
      CHECK(wrong == 0);
      CHECK(refused < all / 2);
      digest highest{};
      highest.fill(0xff); // behind all of them
      CHECK(file.known->may_be_lost(event_of(highest, 1)) == is_last);
    }
  }
}

TEST_CASE("a page of the file that is lost costs the block on it, and the identities in it are had "
          "from the rows; also when the index is damaged, or on a lost page too") {
  for (std::string index : {"", "substr(fences, 9)", "randomblob(20000)"}) {
    CAPTURE(index);
    temp_dir dir;
    const auto path = dir.path("a.db");
    int64_t run = 0, id = 0;
    digest in_block{};
    {
      written_file file{path};
      file.fill(0, 16'000);
      auto large = file.large_run();
      run = large.number;
      id = run << 32 | 3;
      in_block = identity_tables{file.db}.block(large, 3).at(500);
    }
    lose_page(path, "body", "identity_block WHERE id = " + std::to_string(id));
    const auto of_run = "identity_run WHERE run = " + std::to_string(run);
    if (!index.empty())
      in_file(path)("UPDATE identity_run SET fences = " + index
                    + " WHERE run = " + std::to_string(run));
    const bool run_too = index.starts_with("random");
    if (run_too)
      lose_page(path, "fences", of_run);
    std::optional<written_file> file{std::in_place, path};
    if (index.empty()) {
      CHECK_THROWS_WITH_AS(file->known->add(in_block),
                           "the block of a run of identities is on a page that is lost",
                           damaged_run);
      CHECK(mark_damaged(file->db, damaged_run{run, "block", "is damaged"}));
      file.emplace(path);
    }
    for (bool again : {false, true}) {
      CAPTURE(again);
      size_t wrong = 0;
      for (uint64_t i = 0; i < 16'000; ++i)
        wrong += file->known->add(identity_of(i));
      CHECK(wrong == 0);
      CHECK(file->known->lost() == 0);
      CHECK(file->agrees());
      int taken_back = 0; // when the block is to be deleted
      for (int i = 0; i < 100 && file->known->is_making_runs(); ++i)
        try {
          file->db.run("BEGIN");
          file->commit(0);
        } catch (const sqlite_error& e) {
          CHECK(is_corrupt(e));
          CHECK(file->db.is_doomed());
          ++taken_back;
          file->roll_back();
        }
      CHECK_FALSE(file->known->is_making_runs());
      CHECK(taken_back == (again ? 0 : 1));
      // What cannot be deleted stays, and nothing else of the run does.
      auto ask = in_file(path);
      CHECK(ask("SELECT id FROM identity_block WHERE id >> 32 = " + std::to_string(run))
            == std::vector{std::to_string(id)});
      CHECK(ask("SELECT id FROM identity_filter WHERE id >> 32 = " + std::to_string(run)).empty());
      CHECK(ask_database(path, "SELECT count(*) FROM " + of_run) == run_too);
      file.emplace(path);
    }
  }
}

TEST_CASE("a new run that is damaged at once, while others are made anew, does not end the start") {
  temp_dir dir;
  {
    written_file file{dir.path("a.db")};
    file.fill(0, 16'000);
    file.db.run("UPDATE identity_run SET fences = substr(fences, 9)");
    file.db.run("CREATE TRIGGER lost AFTER INSERT ON identity_filter WHEN NEW.id >> 32 = "
                + std::to_string(identity_tables{file.db}.unused_number())
                + " BEGIN UPDATE identity_filter SET body = x'00' WHERE id = NEW.id; END");
  }
  written_file file{dir.path("a.db")};
  size_t wrong = 0;
  for (uint64_t i = 0; i < 16'000; ++i)
    wrong += file.known->add(identity_of(i));
  CHECK(wrong == 0);
  CHECK(file.agrees());
}
