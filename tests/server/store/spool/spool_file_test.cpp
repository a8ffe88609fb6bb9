// The file of the spool, for real: what is lost of it is known and said, and nothing else is lost.

#include "server/store/spool/spool_index.hpp"
#include "server/store/sqlite/connection.hpp"
#include "tests/server/store/spool/spool_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/failing_disk.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/stored.hpp"

#include <filesystem>
#include <fstream>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
namespace fs = std::filesystem;

namespace {

void flip_byte(const std::string& file, double where) {
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  auto at = static_cast<std::streamoff>(static_cast<double>(fs::file_size(file)) * where);
  out.seekg(at);
  auto byte = static_cast<char>(out.get() ^ 0x20);
  out.seekp(at);
  out.put(byte);
}

} // namespace

TEST_CASE("a flipped byte in the spool's log after a kill: how much is missing is known and said") {
  spool_dir before;
  auto spool = before.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 40);
  CHECK(spool->condition().why() == "");
  spool_dir after;
  before.copy_to(after);
  spool_dir sound;
  before.copy_to(sound);

  flip_byte(after.file("-wal"), 0.5);
  recorded_log log;
  auto again = after.spool();
  REQUIRE(again->open().why() == "");
  auto left = again->depth().events;
  REQUIRE(left > 0);
  REQUIRE(left < 400);
  auto missing = std::to_string(400 - left);
  CHECK(again->condition().why()
        == missing + " events are missing from the spool; see phictl spool fsck");
  CHECK(log.contains("has lost batches that it had acknowledged"));
  auto said = ask(*again, spool_check{});
  CHECK(said["ok"] == false);
  CHECK(said["events"] == left);
  CHECK(said["missingEvents"] == 400 - left);
  CHECK(said["missingBatches"] == (400 - left) / 10);
  CHECK(ask(*again, spool_show{})["missingEvents"] == 400 - left);

  // It goes on, also about the next start, until somebody has seen it.
  fill(*again, 100, 1);
  CHECK(again->close().why() == "");
  again = after.spool();
  REQUIRE(again->open().why() == "");
  CHECK(again->depth().events == left + 10);
  auto forgotten = ask(*again, spool_check{.forget_missing = true});
  CHECK(forgotten["missingEvents"] == 400 - left); // told this once more
  CHECK(forgotten["ok"] == true);
  CHECK(again->condition().why() == "");
  CHECK(ask(*again, spool_check{})["ok"] == true);
  CHECK(again->close().why() == "");
  again = after.spool();
  REQUIRE(again->open().why() == "");
  CHECK(ask(*again, spool_check{})["ok"] == true);
  CHECK(again->depth().events == left + 10);

  auto whole = sound.spool(); // the same kill without the flip
  REQUIRE(whole->open().why() == "");
  CHECK(whole->depth().events == 400);
  CHECK(whole->condition().why() == "");
}

TEST_CASE("the spool's file has gone, its index has not: all of it is missing, and said so") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 3);
  CHECK(spool->close().why() == "");
  fs::remove(dir.file());
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(spool->depth().events == 0);
  CHECK(ask(*spool, spool_check{})["missingEvents"] == 30);
}

TEST_CASE("batches that came or went right before a kill are no loss") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 3);
  auto index = dir.file(".index");
  spool_dir came; // the batch is in the file, not yet in the index
  fs::copy(index, came.file(".index.old"));
  fill(*spool, 10, 1);
  dir.copy_to(came);
  fs::rename(came.file(".index.old"), came.file(".index"));
  auto again = came.spool();
  REQUIRE(again->open().why() == "");
  CHECK(again->depth().events == 40);
  CHECK(again->condition().why() == "");
  spool_dir went; // the index knows that it goes, the file has it still
  dir.copy_to(went);
  REQUIRE(spool->front(1, 0));
  REQUIRE(spool->remove_front({}).why() == "");
  fs::copy_file(index, went.file(".index"), fs::copy_options::overwrite_existing);
  again = went.spool();
  REQUIRE(again->open().why() == "");
  CHECK(again->depth().events == 40);
  CHECK(again->condition().why() == "");
  CHECK(again->close().why() == "");
  again = went.spool();
  REQUIRE(again->open().why() == "");
  CHECK(again->condition().why() == "");
}

TEST_CASE("a damaged spool is repaired while it is in use: numbers stay, what is committed leaves, "
          "what is not stays") {
  spool_dir dir;
  recorded_log log;
  {
    auto spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    fill(*spool, 0, 60, 1000); // more than is kept in memory
    REQUIRE(spool->front(2, 0));
    REQUIRE(spool->remove_front({}).why() == ""); // numbers no longer begin at 1
    CHECK(spool->close().why() == "");
  }
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  auto front = spool->front(2, 0);
  REQUIRE(front->parts.size() == 2);
  REQUIRE(front->number == 3);
  // Somebody writes into the middle of the file.
  std::fstream out{dir.file(), std::ios::in | std::ios::out | std::ios::binary};
  out.seekp(static_cast<std::streamoff>(fs::file_size(dir.file()) / 2 / 4096 * 4096));
  out << std::string(8192, '\xa5') << std::flush;
  for (int i = 0; i < 3 && !log.contains("was damaged"); ++i)
    answer_whole(*spool, spool_check{});
  REQUIRE(log.contains("was damaged"));
  auto said = ask(*spool, spool_check{});
  auto lost = said["missingBatches"].get<int>();
  CHECK(lost > 0);
  CHECK(lost < 20);
  CHECK(said["batches"] == 58 - lost);
  CHECK(spool->remove_front({}).why() == ""); // of what was read before
  auto next = spool->front(1, 0);
  CHECK(next->number == 5);
  CHECK(ask(*spool, spool_check{})["batches"] == 56 - lost);
  fill(*spool, 200, 1);
  CHECK(ask_database(dir.file(), "SELECT max(seq) FROM batch") == 61);
}

TEST_CASE(
  "a spool of a newer version is refused untouched; one of the first version is taken over") {
  spool_dir dir;
  {
    auto spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    fill(*spool, 0, 2);
    CHECK(spool->close().why() == "");
  }
  auto run = [&](const std::string& sql) {
    sqlite_connection db;
    db.open(dir.file(), sqlite_connection::access::read_write);
    db.run(sql);
  };
  run("PRAGMA user_version = 99");
  std::ifstream in{dir.file(), std::ios::binary};
  std::string bytes{std::istreambuf_iterator<char>{in}, {}};
  auto refused = dir.spool()->open().why();
  CHECK(refused.find("newer version (format 99, this program knows 2)") != std::string::npos);
  std::ifstream in_again{dir.file(), std::ios::binary};
  CHECK(bytes == std::string{std::istreambuf_iterator<char>{in_again}, {}});
  CHECK_FALSE(fs::exists(dir.file(".repaired")));
  run("PRAGMA user_version = 0; ALTER TABLE batch DROP COLUMN tried_us");
  fs::remove(dir.file(".index"));
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(spool->depth().events == 20);
  CHECK(spool->condition().why() == "");
  CHECK(ask_database(dir.file(), "SELECT user_version FROM pragma_user_version") == 2);
}

TEST_CASE("events that the database refuses are kept apart in the spool, and can be put back") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 3);
  auto first = spool->front(10, 0);
  REQUIRE(first->parts.size() == 3);
  CHECK(first->parts[2].taken_us > 1'700'000'000'000'000);
  std::vector<refused_event> refused{{.request = 0, .at = 2, .detail = "too long"},
                                     {.request = 0, .at = 9, .detail = "too long"},
                                     {.request = 2, .at = 0, .detail = "too wide"}};
  REQUIRE(spool->remove_front(refused).why() == "");
  CHECK(spool->depth().batches == 0);
  CHECK(spool->depth().set_aside == 2);
  CHECK(spool->depth().aside_events == 3);
  CHECK(spool->condition().why() == "3 events are set aside in the spool; see phictl spool show");
  auto shown = ask(*spool, spool_show{});
  CHECK(shown["setAsideEvents"] == 3);
  CHECK(shown["setAside"][0]["why"] == "too long");
  CHECK(shown["setAside"][1]["events"] == 1);
  CHECK_FALSE(spool->front(10, 0));
  CHECK(ask(*spool, spool_requeue{})["requeued"] == 2);
  auto again = spool->front(10, 0);
  REQUIRE(again);
  REQUIRE(again->events == 3);
  CHECK_FALSE(again->suspect);
  CHECK(again->parts[0].taken_us == 0); // whatever its age: somebody wants it
  CHECK(spool->depth().deferred == 0);
  CHECK(again->requests[0].events[0].identity == make_event(2).identity);
  CHECK(again->requests[0].events[1].identity == make_event(9).identity);
  CHECK(again->requests[1].events[0].identity == make_event(200).identity);
  CHECK(spool->remove_front({}).why() == "");
  CHECK(spool->depth().aside_events == 0);
  CHECK(spool->condition().why() == "");
  CHECK(spool->close().why() == "");
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(ask(*spool, spool_check{})["ok"] == true);
}

TEST_CASE("a batch set aside for a while is given again, those that were tried longest ago first") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 3);
  CHECK_FALSE(spool->deferred());
  REQUIRE(spool->set_aside(1, "locked", true).why() == "");
  REQUIRE(spool->set_aside(3, "too long", false).why() == "");
  CHECK(spool->front(10, 0)->number == 2);
  CHECK_FALSE(spool->front(10, 1));
  CHECK(spool->depth().deferred == 1);
  auto one = spool->deferred();
  REQUIRE(one);
  CHECK(one->number == 1);
  CHECK(one->suspect);
  REQUIRE(spool->remove_front({}).why() == "");
  CHECK(spool->depth().deferred == 0);
  CHECK(spool->depth().set_aside == 1);
  CHECK(spool->depth().aside_events == 10);
  CHECK(spool->depth().events == 10);
}

TEST_CASE(
  "a batch that somebody put back is wanted whatever its age, also when it is set aside for "
  "a while once more, and until it is stored") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 2);
  CHECK(spool->set_aside(1, "too old", false).why() == "");
  CHECK(ask(*spool, spool_requeue{})["requeued"] == 1);
  CHECK(spool->set_aside(1, "locked", true).why() == "");
  CHECK(spool->set_aside(2, "locked", true).why() == "");
  CHECK(spool->depth().deferred == 2);
  CHECK(ask(*spool, spool_show{})["setAside"][0]["triedAgain"] == true);
  for (uint64_t number : {1, 2, 1}) { // in turn: who was tried the longest ago
    CHECK(spool->close().why() == "");
    spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    auto one = spool->deferred();
    REQUIRE(one);
    CHECK(one->number == number);
    CHECK(one->suspect);
    CHECK((one->parts[0].taken_us == 0) == (number == 1));
    CHECK(spool->set_aside(number, "locked", true).why() == "");
  }
  // Set aside for good: the next word about it is somebody's again.
  CHECK(spool->set_aside(1, "too long", false).why() == "");
  CHECK(spool->depth().deferred == 1);
  CHECK(ask(*spool, spool_show{})["setAside"][0]["triedAgain"] == false);
}

TEST_CASE(
  "a COMMIT of the spool that fails while it is flushed: what is refused is not there later") {
  failing_disk disk;
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 2);
  auto batch = batch_of({{make_event(1), make_event(2)}});
  disk.fail_flush_of_log();
  auto said = spool->append(*batch);
  CHECK(said.error == error_code::outcome_unknown); // it could not be taken back either
  disk.heal();
  CHECK(spool->append(*batch).error == error_code::none);
  CHECK(ask_database(dir.file(), "SELECT count(*) FROM batch") == 3);
  CHECK(spool->close().why() == "");
}

TEST_CASE(
  "a disk that is full: the spool says so for certain, and takes the same batch when there is "
  "room") {
  failing_disk disk;
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 2);
  auto batch = batch_of({{make_event(1), make_event(2)}});
  disk.fail_write_of_log(1, SQLITE_FULL);
  auto said = spool->append(*batch);
  CHECK(said.error == error_code::spool_full);
  CHECK(said.detail.find("full") != std::string::npos);
  CHECK(spool->depth().events == 20);
  disk.heal();
  CHECK(spool->append(*batch).error == error_code::none);
  CHECK(spool->depth().events == 22);
  CHECK(spool->close().why() == "");
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(spool->depth().events == 22);
  CHECK(spool->condition().why() == "");
}

TEST_CASE("a batch that was put back while it was tried again is counted right") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 2);
  REQUIRE(spool->set_aside(1, "locked", true).why() == "");
  REQUIRE(spool->deferred());
  CHECK(ask(*spool, spool_requeue{})["requeued"] == 1);
  REQUIRE(spool->remove_front({}).why() == "");
  CHECK(spool->depth().batches == 1);
  CHECK(spool->depth().set_aside == 0);
  CHECK(spool->depth().aside_events == 0);
  CHECK(spool->depth().events == 10);
}

TEST_CASE("the spool's file is moved away: nothing more is taken, and it is said") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 1);
  fs::rename(dir.file(), dir.file(".away"));
  CHECK(spool->condition().why() == dir.file() + " has been moved away or deleted");
  auto said = spool->append(*batch_of({{make_event(7)}}));
  CHECK(said.error == error_code::spool_failed);
  CHECK(said.detail.find("moved away") != std::string::npos);
  auto closed = spool->close();
  CHECK(closed.why() == dir.file() + " has been moved away or deleted");
  CHECK(closed.is(outcome::kind::out_of_reach));
  fs::rename(dir.file(".away"), dir.file());
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(spool->depth().events == 10); // and not what was refused
}

TEST_CASE(
  "the index of the spool: a torn end is nothing, a damaged line is counted, a newer form is "
  "refused") {
  spool_dir dir;
  auto file = dir.file(".index");
  {
    spool_index index;
    CHECK(index.open(file).empty());
    CHECK(index.is_new());
    index.replace({}, 0);
    for (int64_t i = 1; i <= 9; ++i)
      index.add({i, i * 10});
    std::vector<int64_t> gone{2, 3};
    index.remove(gone);
  }
  auto reread = [&] {
    spool_index index;
    auto held = index.open(file);
    return std::tuple{held.size(), events_of(held), index.damaged_lines(), index.last()};
  };
  CHECK(reread() == std::tuple{7U, 400, 0U, 9});
  std::ofstream{file, std::ios::app} << "+ 10 1";
  CHECK(reread() == std::tuple{7U, 400, 0U, 9});
  {
    spool_index index; // what comes next overwrites the torn end
    index.open(file);
    index.add({10, 5});
  }
  CHECK(reread() == std::tuple{8U, 405, 0U, 10});
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp(50); // in the line of a batch
  out.put('#').flush();
  CHECK(std::get<2>(reread()) == 1);
  CHECK(std::get<0>(reread()) == 7);
  std::ofstream{file} << "phi-spool-index 2\n";
  CHECK_THROWS_WITH(reread(), doctest::Contains("newer version"));
}
