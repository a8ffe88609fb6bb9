// The trace in memory: bounded, and complete in its names.

#include "server/observe/trace.hpp"

#include "config/defaults.hpp"
#include "protocol/actors.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

using namespace phi;
using phi::testing::recorded_log;

TEST_CASE("a long trace keeps the last lines, and the names of all tracks") {
  trace_recorder trace;
  REQUIRE(trace.on({}, {}).why() == "");
  constexpr size_t handlings = defaults::trace_max_lines + 1000;
  for (size_t i = 0; i < handlings; ++i)
    trace.handled(
      trace.began({.message = {.to = 7, .type = caf::atom("commit")}, .name = "store"}));
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
  REQUIRE(trace.on({}, {}).why() == "");
  uint64_t stuck = 0;
  std::thread store{[&] {
    stuck = trace.began({.message = {.to = 7, .type = caf::atom("commit")}, .name = "store"});
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
    REQUIRE(trace.on({.file = file.string()}, {}).why() == "");
    std::thread again{
      [&] { trace.began({.message = {.to = 7, .type = caf::atom("commit")}, .name = "store"}); }};
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
  REQUIRE(trace.on({.to_log = true}, {}).why() == "");
  std::thread one{[&] {
    auto cause = trace.began({.message = {.to = 1, .type = caf::atom("flush")}, .name = "stats"});
    trace.sent({.from = 1, .to = 2, .type = caf::atom("commit")}, 1);
    std::thread other{[&] {
      trace.handled(trace.began(
        {.message = {.from = 1, .to = 2, .type = caf::atom("commit")}, .name = "store"}));
    }};
    other.join();
    trace.handled(cause);
  }};
  one.join();
  trace.off();
  auto text = log.text();
  // What is said when a long handling is over comes later.
  auto cause = text.find("sees a message");
  REQUIRE(cause != text.npos);
  auto effect = text.find("sees a message", cause + 1);
  REQUIRE(effect != text.npos);
  auto line_of = [&](size_t at) { return text.substr(at, text.find('\n', at) - at); };
  CHECK(has(line_of(cause), "message=flush"));
  CHECK(has(line_of(effect), "message=commit"));
}

TEST_CASE("a trace of what does not exist is refused, with what does") {
  trace_recorder trace;
  CHECK(has(trace.on({}, {.actors = {"stor"}}).why(), "did you mean store?"));
  CHECK(has(trace.on({}, {.messages = {"comit"}}).why(), "did you mean commit?"));
  CHECK(trace.on({}, {.actors = {"inspector"}}).why() == ""); // every actor that there is
  CHECK(trace.on({}, {.actors = {"store"}, .messages = {"commit", "down", "stop"}}).why() == "");
  trace.off();
}

namespace {

/// The lines of one message, of one category.
std::vector<nlohmann::json> lines_of(const trace_page& page, const std::string& message,
                                     const std::string& category) {
  std::vector<nlohmann::json> out;
  for (const auto& line : page.lines) {
    auto read = nlohmann::json::parse(line);
    if (read.value("name", "") == message && read.value("cat", "") == category)
      out.push_back(read);
  }
  return out;
}

/// Sends itself each kind of message once.
struct busy_state {
  struct {
    const char* name = "store";
  } who;
};

using busy_actor =
  caf::typed_actor<accepts<atom::flush, uint64_t>, accepts<atom::tick, uint64_t>,
                   accepts<atom::replay>, accepts<atom::check>, replies<uint64_t>::to<atom::dump>>;

busy_actor::behavior_type busy(busy_actor::stateful_pointer<busy_state> self) {
  return handlers(
    self,
    [self](atom::flush, uint64_t) {
      tell_later(self, std::chrono::seconds{9}, atom::tick_v, uint64_t{2});
      tell_later(self, std::chrono::seconds{2}, atom::tick_v, uint64_t{1});
      tell(self, busy_actor{self}, atom::replay_v);
      tell_urgent(self, busy_actor{self}, atom::check_v);
      ask_urgent(
        self, busy_actor{self}, std::chrono::seconds{1}, [](uint64_t) {}, [](const caf::error&) {},
        atom::dump_v);
    },
    [](atom::tick, uint64_t) {}, [](atom::replay) {}, [](atom::check) {},
    [](atom::dump) { return uint64_t{1}; });
}

} // namespace

TEST_CASE("urgent and delayed messages have their arrows, each its own") {
  trace_recorder trace;
  testing::virtual_system on;
  auto actor = on.keep(on.system.spawn(busy));
  REQUIRE(trace.on({}, {}).why() == "");
  tell_from_outside(actor, atom::flush_v, uint64_t{0});
  on.advance(std::chrono::seconds{10});
  auto page = trace.read(0, 1 << 20);
  trace.off();
  for (const auto* message : {"replay", "check", "dump", "answer"}) {
    CAPTURE(message);
    CHECK(lines_of(page, message, "arrow").size() == 2); // its begin and its end
    REQUIRE(lines_of(page, message, "message").size() == 1);
    CHECK(lines_of(page, message, "message")[0]["args"]["from"] == "store");
    CHECK_FALSE(lines_of(page, message, "message")[0]["args"].contains("delayUs"));
  }
  CHECK(lines_of(page, "tick", "arrow").size() == 4);
  auto ticks = lines_of(page, "tick", "message");
  REQUIRE(ticks.size() == 2);
  for (uint64_t i : {0, 1}) {
    CHECK(ticks[i]["args"]["content"] == std::to_string(i + 1));
    CHECK(ticks[i]["args"]["delayUs"] == (i == 0 ? 2e6 : 9e6)); // not those of the other
    CHECK(ticks[i]["args"]["waitedUs"] == 0.0);
  }
}

TEST_CASE("a message that was sent and never handled is in the trace, and only while it is") {
  recorded_log log;
  trace_recorder trace;
  name_actor(4711, "store"); // it is stuck already, and handles nothing while it is traced
  REQUIRE(trace.on({.to_log = true}, {}).why() == "");
  const traced_message commit{.from = 0, .to = 4711, .type = caf::atom("commit")};
  trace.sent(commit, 0);
  trace.sent(commit, 0);
  auto later = commit;
  later.type = caf::atom("replay");
  later.delay_ns = 3'600'000'000'000;
  trace.sent(later, 4711); // not due: nobody is to blame
  auto waiting = lines_of(trace.read(0, 1 << 20), "commit", "waiting");
  REQUIRE(waiting.size() == 1);
  CHECK(waiting[0]["args"]["from"] == "outside");
  CHECK(waiting[0]["args"]["to"] == "store");
  CHECK(waiting[0]["args"]["count"] == 2);
  CHECK(lines_of(trace.read(0, 1 << 20), "replay", "waiting").empty());
  trace.handled(trace.began({.message = commit, .name = "store"}));
  CHECK(lines_of(trace.read(0, 1 << 20), "commit", "waiting")[0]["args"]["count"] == 1);
  const traced_message gone{.from = 0, .to = 4712, .type = caf::atom("attach")};
  trace.sent(gone, 0); // to an actor that has left: it is not stuck
  trace.handled(trace.began(
    {.message = {.from = 4712, .to = 1, .type = caf::atom("down")}, .name = "supervisor"}));
  trace.sent(gone, 0);
  trace.off(); // its last lines stay
  auto after = trace.read(0, 1 << 20);
  CHECK(lines_of(after, "commit", "waiting").size() == 1);
  CHECK(log.contains("trace sees a message that nobody handles from=outside to=store "
                     "message=commit"));
  CHECK_FALSE(log.contains("message=replay"));
  CHECK(lines_of(after, "attach", "waiting").empty());
}
