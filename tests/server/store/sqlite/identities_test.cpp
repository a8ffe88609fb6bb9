// Which events are stored already, on a real file: whatever is committed, rolled back, merged,
// killed in between or damaged, each identity is new exactly once.

#include "server/platform/digest.hpp"
#include "server/store/sqlite/identities.hpp"
#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/statements.hpp"
#include "tests/server/store/sqlite/written_file.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/stored.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>
#include <set>

using namespace phi;
using namespace phi::store;
using phi::testing::ask_database;
using phi::testing::batch_of;
using phi::testing::identity_of;
using phi::testing::make_event;
using phi::testing::recorded_log;
using phi::testing::small_runs;
using phi::testing::temp_dir;
using phi::testing::written_file;

TEST_CASE("a set of digests is what std::set is, whatever is added and erased") {
  std::mt19937_64 random{7};
  digest_set ours;
  std::set<digest> theirs;
  size_t wrong = 0;
  for (int i = 0; i < 200'000; ++i) {
    auto one = random() % 50 == 0 ? digest{} : identity_of(random() % 5000);
    if (random() % 3 == 0) {
      ours.erase(one);
      theirs.erase(one);
    } else {
      wrong += ours.add(one) != theirs.insert(one).second;
    }
    wrong += ours.contains(one) != theirs.contains(one);
    wrong += ours.size() != theirs.size();
  }
  CHECK(wrong == 0);
  auto all = ours.all();
  CHECK(std::set<digest>(all.begin(), all.end()) == theirs);
}

TEST_CASE("each identity is new once: through commits, roll-backs, merges, restarts and kills") {
  for (uint64_t seed : {1U, 2U, 3U}) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    temp_dir dir;
    std::set<digest> stored;
    auto file = std::make_unique<written_file>(dir.path("a.db"));
    size_t wrong = 0;
    for (int i = 0; i < 700; ++i) {
      std::set<digest> now;
      file->db.run("BEGIN IMMEDIATE");
      auto events = 1 + random() % 300;
      for (uint64_t e = 0; e < events; ++e) {
        auto one = identity_of(random() % 2 ? random() % 120'000 : i * 150 + random() % 300);
        bool is_new = !stored.contains(one) && !now.contains(one);
        wrong += file->put(one) != is_new;
        now.insert(one);
        if (random() % 500 == 0) { // as a refused piece of a batch
          auto kept = file->known->added();
          file->db.run("SAVEPOINT piece");
          auto seq = file->last_seq;
          auto other = identity_of(500'000 + random() % 100);
          CHECK(file->put(other));
          file->db.run("ROLLBACK TO piece");
          file->db.run("RELEASE piece");
          file->known->take_back(kept);
          file->last_seq = seq;
        }
      }
      if (random() % 20 == 0) {
        file->known->make_runs(events);
        file->roll_back();
      } else {
        file->commit(events);
        stored.merge(now);
      }
      if (random() % 60 == 0) // in the middle of whatever is being made
        file = std::make_unique<written_file>(dir.path("a.db"));
    }
    CHECK(wrong == 0);
    CHECK(file->number("SELECT count(*) FROM event") == static_cast<int64_t>(stored.size()));
    CHECK(file->number("SELECT max(level) FROM identity_run") >= 2);
    for (int i = 0; i < 3000 && file->known->is_making_runs(); ++i) {
      file->db.run("BEGIN IMMEDIATE");
      file->commit(0);
    }
    CHECK_FALSE(file->known->is_making_runs());
    CHECK(file->agrees());
    // Nothing is left of what was merged or given up.
    CHECK(file->number("SELECT count(*) FROM identity_block")
          == file->number("SELECT sum((digests + 1023) / 1024) FROM identity_run"));
    CHECK(file->number("SELECT count(*) FROM identity_filter")
          == file->number("SELECT sum((digests + 8191) / 8192) FROM identity_run"));
    for (const auto& one : stored)
      wrong += file->known->add(one);
    CHECK(wrong == 0);
  }
}

TEST_CASE("identities of a database that has only rows are made from them, as runs") {
  temp_dir dir;
  size_t fresh = 0;
  {
    written_file file{dir.path("a.db")};
    file.db.run("BEGIN");
    for (uint64_t i = 0; i < 20'000; ++i)
      fresh += file.put(identity_of(i));
    file.db.run("COMMIT");
    file.known->settled(file.last_seq);
    CHECK(file.number("SELECT count(*) FROM identity_run") == 0);
  }
  written_file again{dir.path("a.db")};
  CHECK(again.number("SELECT count(*) FROM identity_run") >= 3); // but for the last ones
  CHECK(again.agrees());
  for (uint64_t i = 0; i < 20'000; ++i)
    fresh += again.known->add(identity_of(i));
  CHECK(fresh == 20'000);
  CHECK(again.known->add(identity_of(20'000)));
}

TEST_CASE("no slice of the work is larger than its bound, however much is to be merged") {
  temp_dir dir;
  written_file file{dir.path("a.db"), identity_limits{.generation = 20'000, .fan_in = 2}};
  int64_t most = 0;
  auto written = [&] {
    return file.number("SELECT (SELECT count(*) FROM identity_block)"
                       " + (SELECT count(*) FROM identity_filter)");
  };
  for (uint64_t i = 0; i < 300'000; i += 1000) {
    file.db.run("BEGIN");
    for (uint64_t at = i; at < i + 1000; ++at)
      file.put(identity_of(at));
    auto before = written();
    file.commit(1000);
    most = std::max(most, std::abs(written() - before));
  }
  CHECK(file.number("SELECT max(level) FROM identity_run") >= 3);
  CHECK(most <= 33); // 8 blocks and a row of filters; 32 that are deleted
}

TEST_CASE(
  "filters pass one of four hundred that are not there at most, of every kind of identity") {
  for (uint64_t kind : {0U, 1U, 2U}) {
    CAPTURE(kind);
    block_filter filter;
    for (uint64_t i = 0; i < digests_a_block; ++i)
      filter.add(filter_key{identity_of(3 * i + kind)});
    size_t missed = 0;
    size_t passed = 0;
    for (uint64_t i = 0; i < digests_a_block; ++i)
      missed += !filter.may_contain(filter_key{identity_of(3 * i + kind)});
    for (uint64_t i = digests_a_block; i < 101 * digests_a_block; ++i)
      passed += filter.may_contain(filter_key{identity_of(3 * i + kind)});
    CHECK(missed == 0);
    CHECK(passed < digests_a_block / 4);
  }
}

TEST_CASE("the block of a digest is found however the digests are spread") {
  std::mt19937_64 random{17};
  auto spread_as = [&](int kind) {
    digest out{};
    for (auto& byte : out)
      byte = static_cast<uint8_t>(random());
    if (kind > 0) // those that count, or begin with a time
      std::fill_n(out.begin(), kind == 1 ? 12 : 3, static_cast<uint8_t>(kind == 1 ? 0 : 255));
    return out;
  };
  for (int kind : {0, 1, 2})
    for (size_t blocks : {1, 2, 3, 100, 1500}) {
      CAPTURE(kind);
      CAPTURE(blocks);
      identity_run run;
      for (size_t i = 0; i < blocks; ++i)
        run.fences.push_back(spread_as(kind));
      std::sort(run.fences.begin(), run.fences.end());
      auto expected = [&](const digest& key) -> std::optional<size_t> {
        auto behind = std::upper_bound(run.fences.begin(), run.fences.end(), key);
        if (behind == run.fences.begin())
          return {};
        return static_cast<size_t>(behind - run.fences.begin()) - 1;
      };
      size_t wrong = 0;
      for (const auto& fence : run.fences)
        wrong += run.block_of(fence) != expected(fence);
      for (int i = 0; i < 2000; ++i) {
        auto key = spread_as(i % 3);
        wrong += run.block_of(key) != expected(key);
      }
      CHECK(wrong == 0);
    }
  CHECK_FALSE(identity_run{}.block_of(digest{}));
}

namespace {

sqlite_settings settings_of(const std::string& file) {
  return {.file = file,
          .busy_timeout = std::chrono::milliseconds{200},
          .query_timeout = std::chrono::seconds{5},
          .identities = small_runs};
}

/// Events that begin with this number, one of them twice.
std::shared_ptr<commit_batch> thousand(uint32_t first) {
  std::vector<event> events;
  for (uint32_t i = 0; i < 1000; ++i)
    events.push_back(make_event(first + i));
  events.push_back(make_event(first + 17));
  return batch_of({events});
}

} // namespace

TEST_CASE("a database of the first schema: what it has stored is known, and its table goes") {
  temp_dir dir;
  {
    sqlite_connection old;
    old.open(dir.path("a.db"), sqlite_connection::access::read_write);
    old.run(sql::migrations[0]);
    old.run("PRAGMA application_id = " + std::to_string(sql::application_id));
    old.run("PRAGMA user_version = 1; BEGIN");
    for (uint32_t i = 0; i < 9000; ++i) {
      auto e = make_event(i);
      statement row{old, "INSERT INTO event(time_us, identity, feature) VALUES (?1, ?2, 'f')"};
      row.bind(1, e.time_us).bind_blob(2, e.identity.data(), e.identity.size()).execute();
      statement known{old, "INSERT INTO identity VALUES (?1, 20000)"};
      known.bind_blob(1, e.identity.data(), e.identity.size()).execute();
    }
    old.run("COMMIT");
  }
  auto db = make_sqlite_store(settings_of(dir.path("a.db")));
  REQUIRE(db->open().why() == "");
  auto again = db->commit(*thousand(8500)).requests.at(0);
  CHECK(again.stored == 500);
  CHECK(again.duplicates == 501);
  CHECK(db->commit(*thousand(0)).requests.at(0).stored == 0);
  CHECK(db->close().why() == "");
  CHECK(ask_database(dir.path("a.db"), "PRAGMA user_version") == current_schema());
  CHECK(ask_database(dir.path("a.db"), "SELECT count(*) FROM sqlite_schema WHERE name = 'identity'")
        == 0);
  CHECK(ask_database(dir.path("a.db"), "SELECT sum(digests) FROM identity_run") >= 4000);
}

TEST_CASE("a run that is damaged under a service: a batch is refused, the next one counts right") {
  recorded_log log;
  temp_dir dir;
  auto db = make_sqlite_store(settings_of(dir.path("a.db")));
  REQUIRE(db->open().why() == "");
  for (uint32_t first = 0; first < 20'000; first += 1000)
    REQUIRE(db->commit(*thousand(first)).requests.at(0).duplicates == 1);
  {
    sqlite_connection other;
    other.open(dir.path("a.db"), sqlite_connection::access::read_write);
    other.run("UPDATE identity_block SET body = zeroblob(length(body))");
  }
  auto refused = db->commit(*thousand(0));
  CHECK(refused.error == error_code::store_unavailable);
  CHECK(refused.detail.find("damaged") != std::string::npos);
  CHECK(log.count("has found a damaged run") == 1);
  CHECK(db->commit(*thousand(0)).requests.at(0).duplicates == 1001);
  CHECK(db->commit(*thousand(20'000)).requests.at(0).stored == 1000);
  CHECK(db->close().why() == "");
  CHECK(ask_database(dir.path("a.db"), "SELECT count(*) - count(DISTINCT identity) FROM event")
        == 0);
}

TEST_CASE("no room for a run: events are stored all the same, and runs are made later") {
  recorded_log log;
  temp_dir dir;
  auto db = make_sqlite_store(settings_of(dir.path("a.db")));
  REQUIRE(db->open().why() == "");
  {
    sqlite_connection other;
    other.open(dir.path("a.db"), sqlite_connection::access::read_write);
    other.run("CREATE TRIGGER no_room BEFORE INSERT ON identity_block BEGIN"
              " SELECT RAISE(ABORT, 'database or disk is full'); END");
  }
  for (uint32_t first = 0; first < 9000; first += 1000)
    REQUIRE(db->commit(*thousand(first)).requests.at(0).stored == 1000);
  CHECK(log.count("cannot write identities and counts for now") == 1); // it pauses
  CHECK(db->commit(*thousand(0)).requests.at(0).duplicates == 1001);
  CHECK(db->close().why() == "");
  CHECK(ask_database(dir.path("a.db"), "SELECT count(*) FROM event") == 9000);
}

TEST_CASE("large commits: runs keep up with what comes, and memory stays what it is") {
  temp_dir dir;
  written_file file{dir.path("a.db"), identity_limits{.generation = 20'000, .fan_in = 3}};
  size_t most = 0;
  for (uint64_t i = 0; i < 400'000; i += 10'000) { // two of them fill a generation
    file.db.run("BEGIN");
    for (uint64_t at = i; at < i + 10'000; ++at)
      file.put(identity_of(at));
    file.commit(10'000);
    most = std::max(most, file.known->waiting());
  }
  CHECK(most <= 2);
  CHECK(file.number("SELECT max(level) FROM identity_run") >= 2);
}

TEST_CASE("a level is merged only where there is room for it") {
  temp_dir dir;
  uint64_t room = 0;
  identity_limits limits{.generation = 3000, .fan_in = 3, .room = [&] { return room; }};
  written_file file{dir.path("a.db"), limits};
  auto put = [&](uint64_t first, uint64_t events) {
    for (uint64_t i = first; i < first + events; i += 500) {
      file.db.run("BEGIN");
      for (uint64_t at = i; at < i + 500; ++at)
        file.put(identity_of(at));
      file.commit(500);
    }
  };
  put(0, 40'000);
  CHECK(file.number("SELECT max(level) FROM identity_run") == 0);
  CHECK(file.number("SELECT count(*) FROM identity_run") >= 10);
  room = uint64_t{1} << 40;
  put(40'000, 5'000);
  CHECK(file.number("SELECT max(level) FROM identity_run") >= 1);
}

TEST_CASE("a number that a run had is not given again while its filters are there") {
  temp_dir dir;
  written_file file{dir.path("a.db")};
  file.db.run("INSERT INTO identity_filter(id, body) VALUES ((7 << 32) | 3, x'00')");
  identity_tables tables{file.db};
  CHECK(tables.unused_number() == 8);
}

TEST_CASE("an opening writes nothing where nothing changes: it works on a full disk") {
  temp_dir dir;
  auto open = [&] {
    auto db = make_sqlite_store(settings_of(dir.path("a.db")));
    REQUIRE(db->open().why() == "");
    return db;
  };
  CHECK(open()->close().why() == "");
  sqlite_connection other; // keeps the log
  other.open(dir.path("a.db"), sqlite_connection::access::read_only);
  other.run("SELECT count(*) FROM event");
  auto db = open();
  CHECK(std::filesystem::file_size(dir.path("a.db-wal")) == 0);
  CHECK(db->close().why() == "");
}
