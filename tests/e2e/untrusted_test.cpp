// phictl and what others wrote: texts of events, bytes that are no UTF-8, sockets of strangers.

#include "tests/support/doctest.hpp"
#include "tests/support/hostile_service.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <regex>
#include <set>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace phi::testing;
using json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};
constexpr uid_t nobody = 65534;

/// A process that answers at a socket as told: each connection gets one line for its line, or none.
class fake_service {
public:
  fake_service(const std::string& path, uid_t user, std::vector<std::string> answers) {
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, path.data(), path.size());
    pid_ = ::fork();
    if (pid_ != 0) {
      ::close(fd);
      for (int i = 0; i < 200 && !fs::exists(path); ++i)
        ::poll(nullptr, 0, 10);
      return;
    }
    if (::setresuid(user, user, user) != 0
        || ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0
        || ::chmod(path.c_str(), 0666) != 0 || ::listen(fd, 8) != 0)
      ::_Exit(1);
    for (const auto& answer : answers) {
      int peer = ::accept(fd, nullptr, nullptr);
      char byte = 0;
      std::string line;
      while (::read(peer, &byte, 1) == 1 && byte != '\n')
        line += byte;
      if (int out = ::open((path + ".seen").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
          out >= 0) {
        line += '\n';
        [[maybe_unused]] auto size = ::write(out, line.data(), line.size());
        ::close(out);
      }
      [[maybe_unused]] auto size = ::write(peer, answer.data(), answer.size());
      ::close(peer);
    }
    ::_Exit(0);
  }
  ~fake_service() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

private:
  pid_t pid_;
};

bool is_plain(const std::string& text) {
  return text.find('\033') == text.npos && !has(text, "\xc2\x9b") && !has(text, "\xe2\x80\xae");
}

} // namespace

TEST_CASE("texts of events steer no terminal: in tail, stats, tokens, errors and the log") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto event = json{{"feature", "a\033[2Jb\nc\xc2\x9b"
                                "d\xe2\x80\xae"},
                    {"action", "\a\r"}};
  CHECK(post(service.port(), "/api/v1/events", event.dump()).status == 200);
  auto tail = ctl(dir, {"tail"});
  CHECK(has(tail.out, R"(a\x1b[2Jb\nc\u009bd\u202e \x07\r)"));
  CHECK(std::count(tail.out.begin(), tail.out.end(), '\n') == 1);
  auto machine = ctl(dir, {"--json", "tail"});
  CHECK(json::parse(machine.out)["feature"] == event["feature"]);
  auto summary = ctl(dir, {"stats", "summary"});
  CHECK(has(summary.out, R"(a\x1b[2Jb\nc)"));
  auto token = ctl(dir, {"token", "create", "--name", "\033]0;title\a", "--scope", "read"});
  CHECK(token.code != 0); // no name that nobody can read
  CHECK(ctl(dir, {"trace", "on", "--log", "--user-data"}).code == 0);
  CHECK(post(service.port(), "/api/v1/events", event.dump()).status == 200);
  CHECK(service.wait_for_log(R"(a\u001b[2Jb\nc\u009bd\u202e \u0007\r)"));
  auto wrong = ctl(dir, {"stats", "summary", "--timezone", "\033[31mMars"});
  CHECK(wrong.code == 1);
  auto on_terminal = shell("TERM=xterm NO_COLOR= script -qec '" + phictl() + " --socket "
                           + dir.path("admin.sock") + " stats summary' /dev/null");
  CHECK(has(on_terminal.out, R"(a\x1b[2Jb\nc)"));
  CHECK_FALSE(has(on_terminal.out, "\033[2J"));
  for (const auto& text :
       {tail.out, machine.out, summary.out, token.err, wrong.err, service.log()}) {
    CAPTURE(text);
    CHECK(is_plain(text));
  }
}

TEST_CASE(
  "whatever a service, a report or a trace says steers no terminal: every command, as JSON too") {
  temp_dir dir;
  auto file = [&](const std::string& name) { return dir.path(name); };
  const auto evil = json(steering_text).dump();
  auto arrow = [&](const std::string& message) {
    return R"({"cat":"message","name":)" + message + R"(,"ts":1,"tid":1,"args":{"from":)" + evil
           + R"(,"content":)" + evil + R"(,"unfinished":true}})";
  };
  std::ofstream{file("trace.json")} << R"([{"name":"thread_name","tid":1,"args":{"name":)" << evil
                                    << "}}," << arrow("\"terminate\"") << "," << arrow(evil) << "]";
  std::ofstream{file("events.ndjson")} << "{\"feature\":\"g\"}\n";
  const auto report = R"({"exitText":E,"mode":E,"reason":E,"startedAt":E,"endedAt":E,"blame":E,
    "exitCode":1,"detail":E,"actors":[{"actor":E,"state":E,"did":{"x":E},"trouble":E}]})";
  const auto crash = R"({"crashed":true,"startedAt":E,"noticedAt":E,"stuck":E})";
  auto write_report = [&](std::string text) {
    for (size_t at = 0; (at = text.find(":E", at)) != text.npos;)
      text.replace(at + 1, 1, evil);
    std::ofstream{file("last-exit.json")} << text;
  };
  struct row {
    std::string command;
    std::string arguments = {};
    bool shows = true;         ///< what others said
    bool shows_in_json = true; ///< as JSON too
  };
  const std::string state = " --explain --state-dir " + dir.path();
  const std::string days = " --start 2026-01-01 --end 2026-01-02";
  const std::vector<row> table{
    {"status"},
    {"health"},
    {"actors"},
    {"doctor"},
    {"dump", "", false, false},
    {"log-level"},
    {"last-exit", state},
    {"lifecycle"},
    {"reload"},
    {"drain", "", false},
    {"undrain", "", false},
    {"config show"},
    {"config check", "", false},
    {"config diff"},
    {"stats daily", days},
    {"stats features", days},
    {"stats dau", days},
    {"stats http", days},
    {"stats latency", days},
    {"stats series", days},
    {"stats routes", days},
    {"stats errors", days},
    {"stats summary", " --include all"},
    {"send", " --feature f"},
    {"import", " " + file("events.ndjson")},
    {"tail"},
    {"backup", " " + file("copy.db"), false, false},
    {"verify"},
    {"token create", " --scope read --name t"},
    {"token list"},
    {"token revoke", " x", false, false},
    {"trace on", "", false, false},
    {"trace dump", " " + file("dumped.json"), false, false},
    {"trace off", "", false, false},
    {"trace diagram", " " + file("trace.json")},
    {"spool show"},
    {"spool fsck"},
    {"spool replay", "", false},
    {"cluster list"},
    {"cluster drain", " x", false, false},
    {"cluster undrain", " x", false, false},
    {"cluster forget", " x", false, false},
    {"cluster restart-slot", " --give x", false, false},
    {"start", "", false, false},
    {"restart", "", false, false},
    {"enable", "", false, false},
    {"disable", "", false, false},
    {"logs", "", false, false},
    {"stop", " --dry-run"},
    {"stop", " --wait", true, true},
    {"restore", " " + file("events.ndjson")},
  };
  std::set<std::string> tested;
  for (bool refuses : {false, true}) {
    fs::remove(file("admin.sock"));
    hostile_service service{file("admin.sock"), refuses};
    for (const auto& [command, arguments, shows, shows_in_json] : table) {
      const auto words = command + arguments;
      CAPTURE(words);
      CAPTURE(refuses);
      tested.insert(command);
      write_report(refuses ? crash : report);
      auto line = phictl() + " --timeout 0.3 --unit no-such-unit.service --socket "
                  + file("admin.sock") + " " + words;
      auto plain = shell(line);
      auto as_json = shell(line + " --json");
      auto coloured = shell("TERM=xterm script -qec '" + line + "' /dev/null </dev/null");
      // Our own colours and the ends of lines of a terminal.
      auto seen = std::regex_replace(coloured.out, std::regex{"\033\\[([0-9]+m|K)|\r"}, "");
      for (const auto& text : {plain.out, plain.err, as_json.out, as_json.err, seen}) {
        CAPTURE(text);
        CHECK_FALSE(steers(text));
      }
      if (command.starts_with("stats")) { // tables that are broken up to fit, whatever is in them
        auto narrow =
          shell("TERM=xterm script -qec 'stty cols 40; " + line + "' /dev/null </dev/null");
        CHECK(narrow.code == coloured.code);
        CHECK(has(narrow.out, "evil") == has(seen, "evil"));
      }
      if (refuses)
        continue;
      CHECK(has(plain.out + plain.err, "evil") == shows);
      CHECK(has(seen, "evil") == shows);
      CHECK(has(as_json.out + as_json.err, "evil") == shows_in_json);
      // And it is the same JSON.
      if (as_json.out.starts_with('{') || as_json.out.starts_with('['))
        CHECK(has(json::parse(as_json.out).dump(), evil) == has(as_json.out, "evil"));
    }
  }
  CHECK(tested == all_commands());
}

TEST_CASE("bytes that are no UTF-8 abort nothing, and what is wrong is said") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  std::string odd = "caf\xe9";
  for (std::vector<std::string> words : {std::vector<std::string>{"send", "--feature", odd},
                                         {"tail", "--feature", odd},
                                         {"token", "create", "--name", odd, "--scope", "read"},
                                         {"stats", "summary", "--timezone", odd},
                                         {"config", "show", odd},
                                         {"log-level", odd},
                                         {"token", "revoke", odd},
                                         {"stats", "daily", "--start", odd, "--end", odd},
                                         {"cluster", "drain", odd},
                                         {odd}}) {
    for (bool as_json : {false, true}) {
      CAPTURE(words[0]);
      auto line = words;
      if (as_json)
        line.insert(line.begin(), "--json");
      auto result = ctl(dir, line);
      CHECK(result.code >= 1); // and no signal
      CHECK(result.code <= 2);
      CHECK_FALSE(result.err.empty());
      CHECK(result.err.find('\xe9') == result.err.npos);
      CHECK(result.out.find('\xe9') == result.out.npos);
    }
  }
  // A file may be called so.
  auto backup = ctl(dir, {"--json", "backup", dir.path(odd)});
  CHECK(backup.code == 0);
  CHECK(json::parse(backup.out)["events"] == 0);
  CHECK(service.stop().code == 0);
}

TEST_CASE("send: an event without an id has one before the first try") {
  temp_dir dir;
  auto path = dir.path("admin.sock");
  auto done = [](int id) {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id)
           + R"(,"result":{"stored":1,"duplicates":0,"rejected":[]}})" + "\n";
  };
  for (bool piped : {false, true}) {
    CAPTURE(piped);
    fake_service lossy{path, ::geteuid(), {"", done(1)}}; // the first answer is lost
    auto sent =
      piped ? shell("echo '{\"feature\":\"a\"}' | " + phictl() + " --socket " + path + " send")
            : ctl(dir, {"send", "--feature", "a"});
    CHECK(sent.out == "1 stored, 0 known already, 0 rejected\n");
    std::vector<std::string> ids;
    std::istringstream seen{read_file(path + ".seen")};
    for (std::string line; std::getline(seen, line);)
      ids.push_back(json::parse(json::parse(line)["params"]["lines"].get<std::string>())["id"]);
    REQUIRE(ids.size() == 2);
    CHECK(ids[0].size() == 32);
    CHECK(ids[0] == ids[1]);
    fs::remove(path);
    fs::remove(path + ".seen");
  }
}

TEST_CASE("send: what is wrong with a word that was given is said, nothing is left out") {
  temp_dir dir;
  service_process service{dir.path(), {}};
  for (const std::string number : {"nan", "inf"}) {
    auto answer = ctl(dir, {"send", "--feature", "f", "--duration-ms", number});
    CHECK(answer.code == 2);
    CHECK(has(answer.err, "--duration-ms"));
  }
  CHECK(ctl(dir, {"send", "--feature", "f", "--duration-ms=-1"}).code == 1);
  CHECK(ctl(dir, {"send", "--feature", "f", "--status", "0"}).code == 1);
  CHECK(ctl(dir, {"send", "--feature", ""}).code == 1);
  CHECK(ctl(dir, {"send", "--duration-ms", "5"}).code == 1);
  CHECK(ctl(dir, {"send", "--feature", "f", "--duration-ms", "5"}).code == 0);
  CHECK(get(service.port(), "/api/v1/stats/summary").body.find("\"eventsTotal\":1")
        != std::string::npos);
}

TEST_CASE("send: a service that is away or frozen is said at once, and given up in time") {
  temp_dir dir;
  auto away = ctl(dir, {"--timeout", "1", "send", "--feature", "f"});
  CHECK(away.code == 3);
  CHECK(has(away.err, "waits for the service"));
  service_process service{dir.path(), {}};
  REQUIRE(::kill(service.pid(), SIGSTOP) == 0);
  auto began = std::chrono::steady_clock::now();
  auto frozen = ctl(dir, {"--timeout", "1", "send", "--feature", "f", "--id", "1"});
  CHECK(frozen.code == 4);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{5});
  ::kill(service.pid(), SIGCONT);
  CHECK(ctl(dir, {"send", "--feature", "f", "--id", "1"}).code == 0);
  CHECK(get(service.port(), "/api/v1/stats/summary").body.find("\"eventsTotal\":1")
        != std::string::npos);
}

TEST_CASE("sockets of strangers are not believed" * doctest::skip(::geteuid() != 0)) {
  temp_dir dir;
  CHECK(::chmod(dir.path().c_str(), 0777) == 0);
  auto socket = dir.path("admin.sock");
  auto victim = dir.path("victim");
  std::ofstream{victim} << "precious";
  auto answer =
    R"({"jsonrpc":"2.0","id":1,"result":{"file":")" + victim + R"(","bytes":8,"events":0}})" + "\n";
  {
    fake_service stranger{socket, nobody, {answer}};
    auto refused = ctl(dir, {"backup", dir.path("copy")});
    CHECK(refused.code == 1);
    CHECK(has(refused.err, "a process of another user answers"));
    fs::remove(socket);
  }
  // In the directory where we are, nobody may lay one.
  fs::create_directory(dir.path("data"));
  CHECK(::chown(dir.path("data").c_str(), nobody, nobody) == 0);
  {
    fake_service stranger{dir.path("data/admin.sock"), nobody, {answer}};
    auto refused = shell("cd " + dir.path() + " && " + phictl() + " backup copy");
    CHECK(refused.code == 1);
    CHECK(has(refused.err, "data/admin.sock is in a directory of another user's"));
  }
  fs::remove(dir.path("data/admin.sock"));
  // And the service itself, gone bad, names no path that is opened or removed.
  {
    fake_service bad{dir.path("data/admin.sock"), nobody, {answer}};
    auto refused =
      shell(phictl() + " --socket " + dir.path("data/admin.sock") + " backup " + dir.path("copy"));
    CHECK(refused.code == 1);
    CHECK(has(refused.err, "the service has sent no copy"));
  }
  CHECK(read_file(victim) == "precious");
  CHECK_FALSE(fs::exists(dir.path("copy")));
}

TEST_CASE("PHI_LOG and PHI_TRACE: debug shows the work, and no wish is silently taken") {
  temp_dir dir;
  auto env = quiet;
  env["PHI_LOG"] = "debug";
  env["PHI_TRACE"] = "yes";
  {
    service_process service{dir.path(), env};
    CHECK(ctl(dir, {"send", "--feature", "f"}).code == 0);
    CHECK(service.wait_for_log("store commits a batch batch=1 events=1 "));
    CHECK(service.wait_for_log("trace sees a message"));
    CHECK(service.stop().code == 0);
  }
  env["PHI_LOG"] = "loud";
  env["PHI_TRACE"] = "please";
  service_process service{dir.path(), env};
  CHECK(service.logged("PHI_LOG=loud is not one of trace, debug, info, warn, error"));
  CHECK(service.logged("PHI_TRACE=please is neither 1 nor a file such as trace.json"));
  CHECK_FALSE(fs::exists("yes"));
  CHECK_FALSE(fs::exists("please"));
  CHECK(has(ctl(dir, {"trace", "on", "--actor", "stor"}).err, "did you mean store?"));
}

TEST_CASE("who may not use the admin socket reads so, and not that nothing runs"
          * doctest::skip(::geteuid() != 0)) {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto as_nobody = [&] {
    return run_program({"/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                        phictl(), "--socket", dir.path("admin.sock"), "status"});
  };
  auto no_way = as_nobody(); // the directory is closed
  CHECK(no_way.code == 1);
  CHECK(has(no_way.err, "not permitted: only root, the service's user and the members"));
  CHECK(::chmod(dir.path().c_str(), 0755) == 0);
  CHECK(::chmod(dir.path("admin.sock").c_str(), 0666) == 0);
  auto turned_away = as_nobody();
  CHECK(turned_away.code == 1);
  CHECK(has(turned_away.err, "not permitted"));
}

TEST_CASE("a service that is older than phictl is asked by the names it knows") {
  temp_dir dir;
  auto path = dir.path("admin.sock");
  auto unknown = R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}})"
                 "\n";
  auto given = R"({"jsonrpc":"2.0","id":1,"result":{"turn":false}})"
               "\n";
  fake_service older{path, ::geteuid(), {unknown, given}};
  CHECK(ctl(dir, {"cluster", "restart-slot", "--give", "web-2"}).code == 0);
  std::vector<std::string> methods;
  std::istringstream seen{read_file(path + ".seen")};
  for (std::string line; std::getline(seen, line);) {
    methods.push_back(json::parse(line)["method"]);
    CHECK(json::parse(line)["params"]["instance"] == "web-2");
  }
  CHECK(methods == std::vector<std::string>{"cluster-give-restart-slot", "cluster-give-turn"});
}
