// phictl as a person meets it: on a terminal, beside what a pipe gets, and completed by a shell.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/service_process.hpp"

#include <cctype>
#include <fstream>
#include <set>
#include <sstream>

using namespace phi::testing;

namespace {

std::string without_colours(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033')
      while (i < text.size() && !std::isalpha(static_cast<unsigned char>(text[i])))
        ++i;
    else if (text[i] != '\r')
      out += text[i];
  }
  return out;
}

/// The first word of every line, and no digit: what stays the same from one call to the next.
std::string shape_of(const std::string& text) {
  std::istringstream lines{text};
  std::set<std::string> words;
  for (std::string line; std::getline(lines, line);)
    if (auto list = words_of(line); !list.empty())
      if (list[0].find_first_of("0123456789") == list[0].npos)
        words.insert(list[0]);
  std::string out;
  for (const auto& word : words)
    out += word + "\n";
  return out;
}

} // namespace

TEST_CASE(
  "every command on a terminal and in a pipe: the same words and exit status, colours on the "
  "terminal only") {
  temp_dir dir;
  service_process service{dir.path()};
  for (int i = 0; i < 5; ++i)
    post(service.port(), "/api/v1/events",
         R"({"feature":"f","route":"/r","status":500,"durationMs":3,"user":"u"})");
  std::ofstream{dir.path("events.ndjson")} << R"({"feature":"g","id":"1"})"
                                           << "\n";
  std::ofstream{dir.path("trace.json")} << "[\n]\n";
  auto file = [&](const char* name) { return dir.path(name); };
  // In this order: what comes later needs the service stopped.
  const std::vector<std::pair<std::string, std::string>> table{
    {"status", ""},
    {"health", ""},
    {"actors", ""},
    {"doctor", ""},
    {"dump", ""},
    {"log-level", ""},
    {"last-exit", ""},
    {"lifecycle", ""},
    {"reload", ""},
    {"drain", ""},
    {"undrain", ""},
    {"config show", " logging"},
    {"config check", ""},
    {"config diff", ""},
    {"stats daily", ""},
    {"stats features", ""},
    {"stats dau", ""},
    {"stats http", " --last 2d"},
    {"stats latency", ""},
    {"stats series", " --by feature"},
    {"stats routes", ""},
    {"stats errors", ""},
    {"stats summary", ""},
    {"send", " --feature f"},
    {"import", " " + file("events.ndjson")},
    {"tail", " -n 2"},
    {"backup", " /nowhere/copy.db"},
    {"verify", ""},
    {"token create", " --scope read --name t"},
    {"token list", ""},
    {"token revoke", " nothing"},
    {"trace on", ""},
    {"trace dump", " " + file("dumped.json")},
    {"trace off", ""},
    {"trace diagram", " " + file("trace.json")},
    {"spool show", ""},
    {"spool fsck", ""},
    {"spool replay", ""},
    {"cluster list", ""},
    {"cluster drain", " x"},
    {"cluster undrain", " x"},
    {"cluster forget", " x"},
    {"cluster restart-slot", " -- /bin/true"},
    {"start", ""},
    {"restart", ""},
    {"enable", ""},
    {"disable", ""},
    {"logs", ""},
    {"stop", " --dry-run"},
    {"restore", " " + file("events.ndjson") + " --state-dir " + dir.path()},
  };
  std::set<std::string> tested;
  const std::set<std::string> painted{
    "status",     "health",        "actors",     "doctor",       "verify",    "tail", "config show",
    "stats http", "stats summary", "token list", "cluster list", "lifecycle", "stop"};
  for (const auto& [command, arguments] : table) {
    CAPTURE(command);
    tested.insert(command);
    auto line = phictl() + " --timeout 5 --unit no-such-unit.service --socket "
                + dir.path("admin.sock") + " " + command + arguments;
    auto pipe = shell(line + " 2>&1 | cat; exit ${PIPESTATUS[0]}");
    auto terminal =
      shell("TERM=xterm script -qec 'stty cols 200; " + line + "' /dev/null </dev/null");
    if (auto bar = terminal.out.rfind("\033[K"); command == "import" && bar != std::string::npos)
      terminal.out.erase(0, bar + 3); // a slow machine saw how far it was
    CHECK(pipe.code == terminal.code);
    CHECK(pipe.code <= 3);
    CHECK_FALSE(has(pipe.out, "\033"));
    CHECK(has(terminal.out, "\033[") == painted.contains(command));
    CHECK(shape_of(pipe.out) == shape_of(without_colours(terminal.out)));
    CHECK(pipe.out != "");
  }
  CHECK(tested == all_commands());
}

TEST_CASE("zsh loads the completion, and offers commands and their options") {
  auto tree = std::filesystem::path{phictl()}.parent_path().string();
  auto offers = [&](const std::string& line) {
    return shell("python3 " + source_path("tests/tools/zsh_offers.py") + " " + tree + " '" + line
                 + "'")
      .out;
  };
  auto modes = offers("phictl stop --mode ");
  for (auto mode : {"lame-duck", "graceful", "fast", "immediate"})
    CHECK(has(modes, mode));
  CHECK(has(offers("phictl clus"), "cluster "));
  CHECK(has(offers("phi-backendctl spool "), "fsck"));
}
