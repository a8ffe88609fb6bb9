// One file and the environment: what is wrong with them, and what a reload would do.

#include "server/process/settings_source.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

using namespace phi;
using namespace phi::testing;

namespace {

struct sourced {
  loaded_config load(const std::string& text) {
    write_text(file, text);
    return source.load();
  }
  /// The one problem.
  std::string problem(const std::string& text) {
    auto loaded = load(text);
    REQUIRE(loaded.problems.size() == 1);
    return loaded.problems[0].text;
  }

  temp_dir dir;
  std::string file = dir.path("phi.toml");
  scoped_variable log{"PHI_LOG"};
  settings_source source{file};
};

} // namespace

TEST_CASE("settings: what only a library knows is checked, and told with its place") {
  sourced at;
  CHECK(at.load("[stats]\ntimezone = \"Europe/Berlin\"\n").ok());
  CHECK(at.problem("[stats]\ntimezone = \"Europe/Berln\"\n")
        == at.file
             + ":2: stats.timezone = \"Europe/Berln\" is no IANA time zone; did you mean"
               " Europe/Berlin?");
  CHECK(at.problem("[stats]\ntimezone = \"qqqqqqqq\"\n").ends_with("; Europe/Berlin is one"));
  CHECK(at.problem("[stats]\ntimezone = \"\"\n")
          .find("stats.timezone is empty; give a name such as Europe/Berlin")
        != std::string::npos);
  CHECK(at.load("[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n").ok());
  CHECK(at.problem("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]\n").find("10.0.0.0/33")
        != std::string::npos);
}

TEST_CASE("settings: where PostgreSQL is matters only where it is used") {
  sourced at;
  std::string bad = "postgres_url = \"postgresql://h:port/\"\n";
  CHECK(at.load("[stats]\n" + bad).ok());
  CHECK_FALSE(at.load("[stats]\nstorage = \"postgres\"\n" + bad).ok());
  std::string timed = "postgres_url = \"postgresql://h/d?connect_timeout=9\"\n";
  auto loaded = at.load("[stats]\nstorage = \"postgres\"\n" + timed);
  CHECK(loaded.ok());
  auto of_timeout = [](const loaded_config& in) {
    return std::count_if(in.warnings.begin(), in.warnings.end(), [](const std::string& text) {
      return text.find("connect_timeout") != text.npos;
    });
  };
  CHECK(of_timeout(loaded) == 1);
  CHECK(of_timeout(at.load("[stats]\n" + timed)) == 0);
}

TEST_CASE("settings: the level is that of PHI_LOG when there is such a level, else the file's") {
  sourced at;
  auto loaded = at.load("[logging]\nlevel = \"warn\"\n");
  auto before = loaded.warnings.size();
  CHECK(level_of(loaded.values) == log_level::warn);
  at.log.set("debug");
  CHECK(level_of(loaded.values) == log_level::debug);
  CHECK(at.source.load().warnings.size() == before);
  at.log.set("");
  CHECK(level_of(loaded.values) == log_level::warn);
  CHECK(at.source.load().warnings.size() == before);
  at.log.set("DEBUG");
  CHECK(level_of(loaded.values) == log_level::warn);
  auto again = at.source.load();
  CHECK(again.ok());
  REQUIRE(again.warnings.size() == before + 1);
  CHECK(again.warnings.back()
        == "PHI_LOG=DEBUG is not one of trace, debug, info, warn, error; goes on with"
           " logging.level");
}

TEST_CASE("settings: a reload changes what can change live, and nothing when a line is wrong") {
  sourced at;
  auto running = at.load("[logging]\nlevel = \"info\"\n[server]\nport = 4000\n").values;
  write_text(at.file, "[logging]\nlevel = \"debug\"\n[server]\nport = 4001\n");
  auto considered = at.source.consider(running);
  CHECK(considered.accepted.why() == "");
  CHECK(considered.merged.next.logging.level == "debug");
  CHECK(considered.merged.next.server.port == 4000);
  REQUIRE(considered.merged.changed.size() == 1);
  CHECK(considered.merged.changed[0].find("logging.level") == 0);
  REQUIRE(considered.merged.needs_restart.size() == 1);
  CHECK(considered.merged.needs_restart[0].find("server.port") == 0);
  write_text(at.file, "[logging]\nlevel = \"loud\"\n[stats]\ntimezone = \"Nowhere\"\n");
  auto wrong = at.source.consider(running);
  CHECK(wrong.accepted.why().find("logging.level") != std::string::npos);
  write_text(at.file, "[stats]\ntimezone = \"Nowhere\"\n");
  CHECK(at.source.consider(running).accepted.why().find("is no IANA time zone")
        != std::string::npos);
  std::filesystem::remove(at.file);
  CHECK_FALSE(at.source.consider(running).accepted);
}
