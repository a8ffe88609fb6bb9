// Lines of the log as they come out of stderr.

#include "server/observe/logging.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <regex>
#include <sstream>
#include <unistd.h>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// stderr goes to a file for a while.
class caught_stderr {
public:
  caught_stderr() : before_(::dup(STDERR_FILENO)) {
    int fd = ::open(dir_.path("log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(fd, STDERR_FILENO);
    ::close(fd);
  }
  ~caught_stderr() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  caught_stderr(const caught_stderr&) = delete;

  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    std::istringstream in{text_in(dir_.path("log"))};
    for (std::string line; std::getline(in, line);)
      out.push_back(line);
    return out;
  }

private:
  temp_dir dir_;
  int before_;
  scoped_variable no_journal_{"JOURNAL_STREAM"};
};

/// What one line looks like in a format.
std::string written(const std::string& format, const std::function<void()>& say) {
  caught_stderr caught;
  {
    process_log log{log_level::trace, format};
    say();
  }
  auto lines = caught.lines();
  REQUIRE(lines.size() == 1);
  return lines[0];
}

bool fits(const std::string& line, const std::string& pattern) {
  return std::regex_match(line, std::regex{pattern});
}

void say_all() {
  log_warn(
    "store", "commits late",
    {{"events", 3}, {"ms", 1.5}, {"file", "a b"}, {"id", "x-1"}, {"none", ""}, {"ok", true}});
}

const std::string day = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)";

} // namespace

TEST_CASE("logging: each format has its shape, and texts that are no word are quoted") {
  const std::string said =
    "store commits late events=3 ms=1\\.5 file=\"a b\" id=x-1 none=\"\" ok=true";
  CHECK(fits(written("full", say_all), day + " warning " + said));
  CHECK(fits(written("compact", say_all), R"(\d\d:\d\d:\d\d\.\d{3} W )" + said));
  CHECK(fits(written("pretty", say_all), ".*warning.* " + said));
  auto line = written("json", say_all);
  auto json = nlohmann::json::parse(line);
  CHECK(fits(json["time"], day));
  json.erase("time");
  CHECK(json
        == nlohmann::json{{"level", "warn"},
                          {"actor", "store"},
                          {"message", "commits late"},
                          {"events", 3},
                          {"ms", 1.5},
                          {"file", "a b"},
                          {"id", "x-1"},
                          {"none", ""},
                          {"ok", "true"}});
}

TEST_CASE("logging: a value cannot end its line, nor steer a terminal") {
  auto say = [] { log_info("http", "sees", {{"path", "a\nforged\x1b[2J=\"b\""}}); };
  auto line = written("full", say);
  CHECK(line.ends_with(R"(http sees path="a\nforged\u001b[2J=\"b\"")"));
  auto json = nlohmann::json::parse(written("json", say));
  CHECK(json["path"] == "a\nforged\x1b[2J=\"b\"");
  CHECK(written("full", [] { log_info("http", "sees\x1b[2J"); }).ends_with("http sees\\x1b[2J"));
  auto broken = written("full", [] { log_info("http", "sees", {{"path", "\xff x"}}); });
  CHECK(broken.find('\xff') == broken.npos);
}

TEST_CASE("logging: only what is wanted is written, from when it is wanted on") {
  caught_stderr caught;
  {
    process_log log{log_level::info, "compact"};
    CHECK(log.level_name() == "info");
    log_debug("a", "one");
    log_info("a", "two");
    log.set_level(log_level::debug);
    CHECK(log.level_name() == "debug");
    log_debug("a", "three");
    log.use(log_level::error, "json"); // what was said before keeps its shape
    log_warn("a", "four");
    log_error("a", "five");
    CHECK(log.flush(5s));
  }
  log_error("a", "six"); // nobody listens any more
  auto lines = caught.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].ends_with(" I a two"));
  CHECK(lines[1].ends_with(" D a three"));
  CHECK(nlohmann::json::parse(lines[2])["message"] == "five");
}

TEST_CASE("logging: levels have the names that the configuration knows") {
  CHECK(parse_log_level("trace") == log_level::trace);
  CHECK(parse_log_level("debug") == log_level::debug);
  CHECK(parse_log_level("info") == log_level::info);
  CHECK(parse_log_level("warn") == log_level::warn);
  CHECK(parse_log_level("error") == log_level::error);
  for (const auto* other : {"", "WARN", "warning", "inf", "off"})
    CHECK_FALSE(parse_log_level(other));
}
