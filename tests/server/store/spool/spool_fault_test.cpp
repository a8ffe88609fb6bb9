// The spool on a disk that fails: what is counted, kept and told is what is there.

#include "server/store/spool/packed_events.hpp"
#include "tests/server/store/spool/spool_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/failing_disk.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/stored.hpp"

#include <chrono>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;

TEST_CASE("a removal whose COMMIT fails and is whole all the same is counted once, and ends") {
  failing_disk disk;
  for (uint32_t batches : {1, 3}) {
    CAPTURE(batches);
    spool_dir dir;
    recorded_log log;
    auto spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    fill(*spool, 0, batches);
    REQUIRE(spool->front(1, 0));
    disk.fail_flush_of_log(1, 2); // of the COMMIT, and when the log is written back
    CHECK(spool->remove_front({}).why() == "");
    CHECK(disk.failed() > 0);
    CHECK(spool->depth().batches == batches - 1);
    CHECK(spool->depth().events == 10 * (batches - 1));
    CHECK((spool->depth().bytes == 0) == (batches == 1));
    disk.heal();
    auto next = spool->front(1, 0);
    CHECK(bool{next} == (batches > 1));
    CHECK(ask(*spool, spool_check{})["batches"] == batches - 1);
    CHECK(spool->close().why() == "");
    spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    CHECK(spool->depth().events == 10 * (batches - 1));
    CHECK(spool->condition().why() == "");
    CHECK_FALSE(log.contains("has lost batches"));
  }
}

TEST_CASE("refused events are kept once, although the COMMIT that kept them has failed") {
  failing_disk disk;
  spool_dir dir;
  recorded_log log;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 3);
  REQUIRE(spool->front(2, 0)->parts.size() == 2);
  std::vector<refused_event> refused{{.request = 0, .at = 2, .detail = "too long"},
                                     {.request = 1, .at = 9, .detail = "too wide"}};
  disk.fail_flush_of_log(1, 2);
  CHECK(spool->remove_front(refused).why() == "");
  CHECK(disk.failed() > 0);
  CHECK(spool->depth().batches == 1);
  CHECK(spool->depth().events == 10);
  CHECK(spool->depth().set_aside == 2);
  CHECK(spool->depth().aside_events == 2);
  CHECK(spool->close().why() == "");
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(ask(*spool, spool_check{})["ok"] == true);
  CHECK(spool->depth().aside_events == 2);
  CHECK_FALSE(log.contains("has lost batches"));
  CHECK_FALSE(log.contains("cannot keep events"));
}

TEST_CASE("a batch that was not acknowledged, though its COMMIT was whole, is taken back and is no "
          "loss at the next start") {
  failing_disk disk;
  spool_dir dir;
  recorded_log log;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 2);
  disk.fail_flush_of_log(1, 2);
  auto said = spool->append(*batch_of({{make_event(1), make_event(2)}}));
  CHECK(said.error == error_code::spool_failed);
  CHECK(said.detail.find("disk I/O error") != std::string::npos);
  CHECK(spool->depth().events == 20);
  CHECK(spool->close().why() == "");
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(spool->condition().why() == "");
  CHECK(spool->depth().events == 20);
  CHECK(ask(*spool, spool_check{})["missingEvents"] == 0);
  CHECK_FALSE(log.contains("has lost batches"));
}

TEST_CASE("a full spool is asked again and again: it says so without packing anything") {
  spool_dir dir;
  std::vector<event> many;
  for (uint32_t i = 0; i < 10'000; ++i)
    many.push_back(make_event(i));
  auto batch = batch_of({many});
  auto began = std::chrono::steady_clock::now();
  auto packed = pack_events(*batch).size();
  auto packing = std::chrono::steady_clock::now() - began;
  CHECK(packed_at_least(*batch) <= packed);
  CHECK(packed_at_least(*batch) > packed / 2);
  auto spool = make_sqlite_spool({dir.file(), packed_at_least(*batch) - 1, 0});
  REQUIRE(spool->open().why() == "");
  began = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) {
    auto said = spool->append(*batch);
    CHECK(said.error == error_code::spool_full);
    CHECK(said.detail.find("spool.max_bytes allows") != std::string::npos);
  }
  CHECK(std::chrono::steady_clock::now() - began < packing);
  auto roomy = make_sqlite_spool({dir.file(), packed, 0});
  REQUIRE(roomy->open().why() == "");
  CHECK(roomy->append(*batch).error == error_code::none);
}

TEST_CASE(
  "a number is given once: also when the spool was empty in between and its index is lost") {
  spool_dir dir;
  for (uint64_t number : {1, 2, 3}) {
    auto spool = dir.spool();
    REQUIRE(spool->open().why() == "");
    fill(*spool, 0, 1);
    CHECK(spool->front(1, 0)->number == number);
    REQUIRE(spool->remove_front({}).why() == "");
    CHECK(spool->close().why() == "");
    if (number == 2)
      fs::remove(dir.file(".index"));
  }
}

TEST_CASE("a number that somebody else has taken: the batch is refused, the next try has another "
          "number, and nothing is written over") {
  spool_dir dir;
  auto spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  fill(*spool, 0, 2);
  in_file(dir.file())("INSERT INTO batch(seq, id, taken_us, events, body, checksum)"
                      " SELECT 3, randomblob(length(id)), taken_us, events, body, checksum"
                      " FROM batch WHERE seq = 1");
  auto batch = batch_of({{make_event(1), make_event(2)}});
  auto said = spool->append(*batch);
  CHECK(said.error == error_code::spool_failed);
  CHECK(said.detail == "the number of a batch is taken by another");
  CHECK(spool->depth().events == 30);
  CHECK(spool->append(*batch).error == error_code::none);
  CHECK(spool->depth().events == 32);
  CHECK(ask_database(dir.file(), "SELECT seq FROM batch WHERE events = 2") == 4);
  CHECK(ask_database(dir.file(), "SELECT count(*) FROM batch") == 4);
  CHECK(spool->close().why() == "");
  spool = dir.spool();
  REQUIRE(spool->open().why() == "");
  CHECK(ask(*spool, spool_check{})["ok"] == true);
  CHECK(spool->depth().events == 32);
}

TEST_CASE("a spool that was full and half replayed takes as much again, in the room that it has "
          "itself"
          * doctest::skip(may_not_mount())) {
  spool_dir dir;
  small_disk disk{dir.file(".disk"), "24m"};
  auto file = dir.file(".disk/spool.db");
  auto spool = make_sqlite_spool({file, 1U << 30, 0});
  REQUIRE(spool->open().why() == "");
  std::vector<event> many;
  for (uint32_t i = 0; i < 4000; ++i)
    many.push_back(make_event(i));
  auto fill_up = [&] {
    int taken = 0;
    for (; taken < 1000; ++taken) {
      auto said = spool->append(*batch_of({many}));
      if (said.error != error_code::none) {
        CHECK(said.error == error_code::spool_full);
        break;
      }
    }
    return taken;
  };
  auto first = fill_up();
  CHECK(first > 10);
  auto size = fs::file_size(file);
  for (int i = 0; i < first / 2; ++i) {
    REQUIRE(spool->front(1, 0));
    REQUIRE(spool->remove_front({}).why() == "");
  }
  CHECK(fill_up() >= first / 2);
  CHECK(fs::file_size(file) <= size + size / 20); // without the disk
  CHECK(spool->close().why() == "");
}
