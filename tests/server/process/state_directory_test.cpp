#include "actors/exit_report.hpp"
#include "server/process/state_directory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

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

TEST_CASE("the state directory: how the last run ended, whatever it left behind") {
  temp_dir dir;
  auto path = dir.path();
  {
    state_directory first{path};
    CHECK_FALSE(first.last_run());
    CHECK(first.begin_run().why() == "");
    exit_report report{.mode = stop_mode::fast,
                       .reason = stop_reason::terminate,
                       .code = exit_code::forced_by_deadline,
                       .took = std::chrono::milliseconds{1500}};
    CHECK(first.end_run(report).why() == "");
  }
  std::string second_id;
  {
    state_directory second{path};
    REQUIRE(second.last_run());
    CHECK_FALSE(second.last_run()->crashed);
    CHECK(second.last_run()->exit_code == 81);
    CHECK(second.last_run()->took_ms == 1500);
    CHECK(second.last_run()->mode == "fast");
    CHECK(second.last_run()->reason == "terminate");
    CHECK(second.last_run()->version == PHI_VERSION);
    CHECK(second.last_run()->ended_us >= second.last_run()->started_us);
    CHECK(second.begin_run().why() == "");
    second_id = second.run_id();
  } // without a report
  state_directory third{path};
  REQUIRE(third.last_run());
  CHECK(third.last_run()->crashed);
  CHECK(third.last_run()->run_id == second_id);
  CHECK(third.last_run()->ended_us); // when it was noticed
}

TEST_CASE("how a run ended: what is not as it should be counts as missing") {
  using json = nlohmann::ordered_json;
  for (const auto* text : {"[]", "7", "null", "\"x\""})
    CHECK_FALSE(read_run_end(json::parse(text)));
  auto odd = read_run_end(json::parse(
    R"({"exitCode":"0","runId":7,"startedAt":"soon","noticedAt":[],"heldBy":{"who":1}})"));
  REQUIRE(odd);
  CHECK(odd->crashed);
  CHECK(odd->run_id.empty());
  CHECK_FALSE(odd->started_us);
  CHECK_FALSE(odd->ended_us);
  auto held = read_run_end(json::parse(
    R"({"exitCode":0,"tookMs":"1","heldBy":{"who":"store","what":"COMMIT","ms":12.5}})"));
  REQUIRE(held);
  CHECK_FALSE(held->crashed);
  CHECK(held->took_ms == 0);
  CHECK(held->held_by == "store: COMMIT");
  CHECK(held->held_ms == 12.5);
}
