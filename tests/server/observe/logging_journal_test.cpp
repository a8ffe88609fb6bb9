// Entries of the journal, without one.

#include "server/observe/logging_journal.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

using namespace phi;

TEST_CASE("a journal entry has a field for each value, and values cannot forge one") {
  auto entry =
    journal_entry("store commits", "store", {{"events", 3}, {"from-who", "a\x1fPHI_X=1"}});
  CHECK(entry == "store commits\x1fPHI_ACTOR=store\x1fPHI_EVENTS=3\x1fPHI_FROM_WHO=a\\x1fPHI_X=1");
  CHECK(journal_entry("a\x1f"
                      "b",
                      "x", {})
        == "a\\x1fb\x1fPHI_ACTOR=x");
}

TEST_CASE("stderr is the journal's when it is the very stream that was named") {
  struct stat at {};
  REQUIRE(::fstat(STDERR_FILENO, &at) == 0);
  auto device = std::to_string(at.st_dev);
  auto file = std::to_string(at.st_ino);
  phi::testing::scoped_variable stream{"JOURNAL_STREAM"};
  CHECK_FALSE(stderr_is_journal());
  stream.set(device + ":" + file);
  CHECK(stderr_is_journal());
  for (const auto& other : {device + ":" + file + "0", "0" + device + ":" + file, std::string{}}) {
    stream.set(other); // of the parent: ours was sent elsewhere
    CHECK_FALSE(stderr_is_journal());
  }
}
