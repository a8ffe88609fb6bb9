#include "actors/exit_report.hpp"
#include "server/process/state_directory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <filesystem>
#include <string>

using namespace phi;
using phi::testing::temp_dir;

TEST_CASE("the state directory: one owner, a report, and the notice of a crash") {
  temp_dir dir;
  auto path = dir.path("deeper");
  {
    state_directory first{path};
    CHECK(first.taken().why() == "");
    CHECK(first.crash_notice().empty());
    CHECK(state_directory{path}.taken().why().find("another phi-backend") != std::string::npos);
    CHECK(first.begin_run().why() == "");
  } // ended without a report
  {
    state_directory second{path};
    CHECK(second.crash_notice().find("ended without a report") != std::string::npos);
    CHECK(second.begin_run().why() == "");
    CHECK(second.end_run(exit_report{}).why() == "");
  }
  CHECK(state_directory{path}.crash_notice().empty());
}

TEST_CASE("the state directory: room for the report is reserved, and a run that was given up has a "
          "cause") {
  temp_dir dir;
  auto path = dir.path();
  std::string id;
  {
    state_directory first{path};
    id = first.run_id();
    CHECK(id.size() == 16);
    CHECK(first.begin_run().why() == "");
    CHECK(std::filesystem::file_size(path + "/last-exit.json.new") == 32 * 1024);
    first.note_stuck("store");
  }
  {
    state_directory second{path};
    CHECK(second.run_id() != id);
    CHECK(second.crash_notice().find("the watchdog had given it up because of store")
          != std::string::npos);
    CHECK(second.begin_run().why() == "");
    CHECK(second.end_run_within(exit_report{}, std::chrono::seconds{5}).why() == "");
    CHECK_FALSE(std::filesystem::exists(path + "/last-exit.json.new"));
    CHECK_FALSE(std::filesystem::exists(path + "/running.json"));
    CHECK(std::filesystem::file_size(path + "/last-exit.json") < 4096); // not the reserve
  }
}

TEST_CASE("the state directory: a run that cannot be marked is said") {
  temp_dir dir;
  auto path = dir.path();
  state_directory state{path};
  REQUIRE(state.taken().why() == "");
  std::filesystem::create_directories(path + "/running.json/in the way");
  CHECK(state.begin_run().why() == "cannot write " + path + "/running.json: Is a directory");
}
