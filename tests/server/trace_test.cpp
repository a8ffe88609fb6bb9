// The trace in memory: bounded, and complete in its names.

#include "server/trace.hpp"

#include "config/defaults.hpp"
#include "tests/support/doctest.hpp"

#include <algorithm>

using namespace phi;

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
