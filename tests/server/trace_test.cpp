// The trace in memory: bounded, and complete in its names.

#include "server/trace.hpp"

#include "config/defaults.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

using namespace phi;
using phi::testing::recorded_log;

TEST_CASE("a long trace keeps the last lines, and the names of all tracks") {
  trace_recorder trace;
  REQUIRE(trace.on("", {}) == "");
  constexpr size_t handlings = defaults::trace_max_lines + 1000;
  for (size_t i = 0; i < handlings; ++i)
    trace.handled(
      trace.began({.message = {.to = 7, .what = caf::atom("commit")}, .name = "store"}));
  auto page = trace.read(0, 1 << 30);
  trace.off();
  CHECK(page.dropped > 0);
  CHECK(page.lines.size() >= defaults::trace_max_lines);
  CHECK(page.lines.size() <= defaults::trace_max_lines + 10);
  auto names = std::count_if(page.lines.begin(), page.lines.end(), [](const std::string& line) {
    return line.find("thread_name") != line.npos && line.find("\"store\"") != line.npos;
  });
  CHECK(names == 1);
}

namespace {

std::string text_of(const trace_page& page) {
  std::string out;
  for (const auto& line : page.lines)
    out += line + "\n";
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("the message that an actor is stuck in is in the trace, and only while it is") {
  trace_recorder trace;
  REQUIRE(trace.on("", {}) == "");
  uint64_t stuck = 0;
  std::thread store{[&] {
    stuck = trace.began({.message = {.to = 7, .what = caf::atom("commit")}, .name = "store"});
  }};
  store.join();
  CHECK(has(text_of(trace.read(0, 1 << 20)), R"("name":"commit")"));
  CHECK(has(text_of(trace.read(0, 1 << 20)), R"("unfinished":true)"));
  SUBCASE("and it ends") {
    trace.handled(stuck);
    auto text = text_of(trace.read(0, 1 << 20));
    CHECK(has(text, R"("name":"commit")"));
    CHECK_FALSE(has(text, "unfinished"));
  }
  SUBCASE("and it does not: a file has it too") {
    auto file = std::filesystem::temp_directory_path() / "phi-trace-test.json";
    REQUIRE(trace.on(file.string(), {}) == "");
    std::thread again{
      [&] { trace.began({.message = {.to = 7, .what = caf::atom("commit")}, .name = "store"}); }};
    again.join();
    trace.off();
    std::stringstream text;
    text << std::ifstream{file}.rdbuf();
    CHECK(has(text.str(), R"("unfinished":true)"));
    std::filesystem::remove(file);
  }
  trace.off();
}

TEST_CASE("the log of a trace tells a cause before its effects") {
  recorded_log log;
  trace_recorder trace;
  REQUIRE(trace.on("1", {}) == "");
  std::thread one{[&] {
    auto cause = trace.began({.message = {.to = 1, .what = caf::atom("flush")}, .name = "stats"});
    trace.sent({.from = 1, .to = 2, .what = caf::atom("commit")}, 1);
    std::thread other{[&] {
      trace.handled(trace.began(
        {.message = {.from = 1, .to = 2, .what = caf::atom("commit")}, .name = "store"}));
    }};
    other.join();
    trace.handled(cause);
  }};
  one.join();
  trace.off();
  auto text = log.text();
  CHECK(text.find("message=flush") != text.npos);
  CHECK(text.find("message=flush") < text.find("message=commit"));
}

TEST_CASE("a trace of what does not exist is refused, with what does") {
  trace_recorder trace;
  CHECK(has(trace.on("", {.actors = {"stor"}}), "did you mean store?"));
  CHECK(has(trace.on("", {.messages = {"comit"}}), "did you mean commit?"));
  CHECK(trace.on("", {.actors = {"store"}, .messages = {"commit", "down", "stop"}}) == "");
  trace.off();
}
