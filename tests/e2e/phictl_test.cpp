// phictl and the admin socket against the real service.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <pwd.h>
#include <set>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

// -- commands -----------------------------------------------------------------------------------

TEST_CASE("status, actors, health: for people, and as JSON in a pipe") {
  temp_dir dir;
  service_process service{dir.path()};
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"f","id":"1"})").status == 200);
  auto status = ctl(dir, {"status"});
  CHECK(status.code == 0);
  CHECK(has(status.out, "ready"));
  CHECK(has(status.out, "127.0.0.1:" + std::to_string(service.port())));
  CHECK(has(status.out, "balanced"));
  CHECK_FALSE(has(status.out, "\033")); // no colours in a pipe
  auto machine = json::parse(ctl(dir, {"status", "--json"}).out);
  CHECK(machine["state"] == "ready");
  CHECK(machine["ledger"]["balanced"] == true);
  auto actors = ctl(dir, {"actors"});
  for (auto name : {"http", "stats", "reader", "inspector", "store", "admin", "watchdog", "signal"})
    CHECK(has(actors.out, name));
  CHECK(has(actors.out, "commit")); // the last message of store
  auto rows = json::parse(ctl(dir, {"--json", "actors"}).out);
  CHECK(rows.size() == 8);
  CHECK(rows[4]["says"]["processorMs"] > 0.0);
  CHECK(ctl(dir, {"health"}).out == "healthy: the service is ready\n");
  CHECK(json::parse(ctl(dir, {"health", "--json"}).out)["healthy"] == true);
}

TEST_CASE("on a terminal there are colours, unless NO_COLOR says no") {
  temp_dir dir;
  service_process service{dir.path()};
  auto on_terminal = [&](const std::string& env) {
    return shell(env + " TERM=xterm script -qec '" + phictl() + " --socket "
                 + dir.path("admin.sock") + " status' /dev/null")
      .out;
  };
  CHECK(has(on_terminal(""), "\033[32mready"));
  CHECK_FALSE(has(on_terminal("NO_COLOR=1"), "\033[3"));
}

TEST_CASE("status --watch goes on until it is ended") {
  temp_dir dir;
  service_process service{dir.path()};
  auto seen = shell("timeout 2.5 " + phictl() + " --json --socket " + dir.path("admin.sock")
                    + " status --watch");
  CHECK(std::count(seen.out.begin(), seen.out.end(), '\n') >= 2);
}

TEST_CASE("drain, undrain, dump, log level, config, doctor, reload") {
  temp_dir dir;
  std::ofstream{dir.path("config.toml")} << "[logging]\nlevel = \"info\"\n";
  service_process service{dir.path(), {}, true, dir.path("config.toml")};
  CHECK(ctl(dir, {"drain"}).code == 0);
  CHECK(service.wait_for_log("is lame duck"));
  CHECK(get(service.port(), "/health/ready").status == 503);
  CHECK(ctl(dir, {"health"}).code == 1);
  CHECK(ctl(dir, {"undrain"}).code == 0);
  CHECK(service.wait_for_log("supervisor is ready"));

  CHECK(ctl(dir, {"dump"}).code == 0);
  CHECK(ctl(dir, {"--json", "dump"}).out == "{\"dumped\":true}\n");
  CHECK(service.wait_for_log("dumps an actor actor=store"));

  CHECK(ctl(dir, {"log-level"}).out == "info\n");
  CHECK(has(ctl(dir, {"log-level", "debug"}).out, "info -> debug"));
  CHECK(ctl(dir, {"log-level"}).out == "debug\n");
  CHECK(ctl(dir, {"log-level", "loud"}).code == 2);

  auto config = ctl(dir, {"config", "show", "logging"});
  CHECK(has(config.out, "logging.level"));
  CHECK(has(config.out, "config.toml:2"));
  CHECK(has(ctl(dir, {"config", "show", "server.port"}).out, "environment APP_SERVER_PORT"));
  CHECK(ctl(dir, {"config", "show", "nothing-like-it"}).code == 1);
  auto shown = json::parse(ctl(dir, {"--json", "config", "show", "server.port"}).out);
  REQUIRE(shown.size() == 1);
  CHECK(shown[0]["key"] == "server.port");
  CHECK(ctl(dir, {"--json", "config", "show", "nothing-like-it"}).code == 1);
  CHECK(has(ctl(dir, {"config", "diff"}).out, "what is in effect"));
  std::ofstream{dir.path("config.toml")} << "[server]\nthreads = 2\nmax_body_bytes = 5000\n";
  auto diff = ctl(dir, {"config", "diff"});
  CHECK(has(diff.out, "by reload   server.max_body_bytes: 1048576 -> 5000"));
  CHECK(has(diff.out, "by restart  server.threads: 1 -> 2"));
  CHECK(ctl(dir, {"config", "check"}).code == 0);
  CHECK(has(ctl(dir, {"reload"}).out, "changed        server.max_body_bytes"));
  std::ofstream{dir.path("config.toml")} << "[server]\nthraeds = 2\n";
  auto broken = ctl(dir, {"config", "check"});
  CHECK(broken.code == 1);
  CHECK(has(broken.err, "did you mean server.threads?"));
  CHECK(has(broken.err, "\n    thraeds = 2\n")); // the line, as it is in the file
  CHECK(ctl(dir, {"reload"}).code == 1);

  auto ill = ctl(dir, {"doctor"});
  CHECK(ill.code == 1);
  CHECK(has(ill.out, "the next start or reload would fail: "));
  CHECK(has(ill.out, "did you mean server.threads?"));
  std::ofstream{dir.path("config.toml")}
    << "[server]\nhost = \"203.0.113.77\"\n[auth]\ntoken = \"t\"\n";
  auto elsewhere = ctl(dir, {"doctor"});
  CHECK(elsewhere.code == 1);
  CHECK(has(elsewhere.out, "the next start would fail: cannot listen on 203.0.113.77"));
  std::ofstream{dir.path("config.toml")} << "[server]\nthreads = 2\n";
  auto doctor = ctl(dir, {"doctor"});
  CHECK(doctor.code == 0);
  for (auto what : {"permissions", "disk", "database", "clock", "file limit", "budgets"})
    CHECK(has(doctor.out, what));
  ::chmod(dir.path().c_str(), 0755);
  CHECK(has(ctl(dir, {"doctor"}).out, "remedy: chmod 0700"));
  auto findings = json::parse(ctl(dir, {"doctor", "--json"}).out);
  CHECK(findings[0]["code"] == "state_directory_public");
  CHECK(findings[0]["verdict"] == "warning");
  CHECK(findings[0]["remedy"] == "chmod 0700 " + dir.path());
  CHECK_FALSE(findings[3].contains("code"));
}

TEST_CASE("doctor, where no service answers: that, and how the last run ended") {
  temp_dir dir;
  auto nothing = ctl(dir, {"doctor"});
  CHECK(nothing.code == 3);
  CHECK(has(nothing.out, "phictl start"));
  CHECK_FALSE(has(nothing.out, "last exit"));
  auto findings = [&] { return json::parse(ctl(dir, {"doctor", "--json"}).out); };
  {
    service_process service{dir.path()};
    CHECK(service.stop().code == 0);
  }
  CHECK(findings()[0]["code"] == "not_running");
  CHECK(findings()[1]["verdict"] == "ok");
  {
    service_process service{dir.path()};
    service.kill();
  }
  CHECK(findings()[1]["code"] == "last_exit_failed");
  CHECK(has(findings()[1]["remedy"], "out of memory"));
}

TEST_CASE("exit statuses: usage, not running, timed out, refused") {
  temp_dir dir;
  CHECK(ctl(dir, {"status"}).code == 3);
  CHECK(
    has(ctl(dir, {"status"}).err, "there is no unit phi-backend.service here, so run phi-backend"));
  CHECK(ctl(dir, {"no-such-command"}).code == 2);
  CHECK(has(ctl(dir, {"statsu"}).err, "there is no command statsu; did you mean stat"));
  CHECK(has(ctl(dir, {"stast"}).err, "there is no command stast; did you mean start or stats?"));
  CHECK(has(ctl(dir, {"cluster", "lsit"}).err,
            "there is no command cluster lsit; did you mean cluster list?"));
  CHECK(has(ctl(dir, {"cluster", "stats"}).err,
            "there is no command cluster stats; did you mean stats?"));
  CHECK(has(ctl(dir, {"stats", "dayly", "--start", "2026-01-01"}).err,
            "there is no command stats dayly; did you mean stats daily?"));
  CHECK(has(ctl(dir, {"spool", "everything"}).err,
            "there is no command spool everything; see spool --help"));
  CHECK(ctl(dir, {"cluster", "lsit"}).code == 2);
  CHECK(has(ctl(dir, {"stats", "series", "--interva", "day"}).err,
            "there is no option stats series --interva; did you mean --interval?"));
  CHECK(has(ctl(dir, {"status", "--jsno"}).err,
            "there is no option status --jsno; did you mean --json?"));
  CHECK(has(ctl(dir, {"stop", "--whatever=1"}).err,
            "there is no option stop --whatever; see stop --help"));
  CHECK(has(ctl(dir, {"stats"}).err,
            "a command is missing behind phictl stats (daily, features, dau, http, latency, "
            "series, summary, routes, errors); see stats --help"));
  CHECK(ctl(dir, {"stats", "series", "--interva", "day"}).code == 2);
  CHECK(ctl(dir, {"stats"}).code == 2);
  CHECK(ctl(dir, {"stop", "--mode", "gently"}).code == 2);
  CHECK(ctl(dir, {}).code == 2);
  // Somebody who listens and never answers.
  int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, dir.path("admin.sock").c_str(), sizeof at.sun_path - 1);
  ::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at);
  ::listen(listener, 8);
  CHECK(ctl(dir, {"--timeout", "0.2", "status"}).code == 4);
  ::close(listener);
}

TEST_CASE("help, man page and completions list the same commands, each with an example") {
  auto tree = std::filesystem::path{phictl()}.parent_path();
  auto page = read_file((tree / "phictl.1").string());
  auto bash = read_file((tree / "phictl.bash").string());
  auto zsh = read_file((tree / "_phictl").string());
  auto help = run_program({phictl(), "--help"}).out;
  auto list = help.substr(help.find("Subcommands:"));
  std::istringstream in{list.substr(0, list.find("\n\n"))};
  std::string line;
  std::getline(in, line);
  size_t commands = 0;
  while (std::getline(in, line)) {
    if (line.size() < 3 || line[2] == ' ')
      continue;
    auto command = words_of(line).at(0);
    CAPTURE(command);
    ++commands;
    auto escaped = command;
    for (size_t dash = 0; (dash = escaped.find('-', dash)) != escaped.npos; dash += 2)
      escaped.insert(dash, "\\");
    CHECK(has(page, ".SS " + escaped + "\n"));
    CHECK(has(bash, "'" + command + "')"));
    CHECK(has(zsh, "'" + command + "')"));
    CHECK(has(run_program({phictl(), command, "--help"}).out, "Example: phictl " + command));
  }
  CHECK(commands >= 17);
  auto offered =
    shell("source " + (tree / "phictl.bash").string()
          + "; COMP_WORDS=(phictl stop --mode ''); COMP_CWORD=3; _phictl; echo ${COMPREPLY[@]}");
  CHECK(offered.out == "lame-duck graceful fast immediate\n");
}

// -- stopping -----------------------------------------------------------------------------------

TEST_CASE("stop --wait ends with the service's own exit status and shows who holds it") {
  REQUIRE(has_faults());
  {
    temp_dir dir;
    service_process service{dir.path(), {{"PHI_FAULTS", "store.release=block:900"}}};
    auto stop = ctl(dir, {"stop", "--wait"});
    CHECK(stop.code == 0);
    CHECK(has(stop.out, "clean stop, ledger balanced"));
    CHECK(has(stop.err, "store: "));
    CHECK(service.wait().code == 0);
  }
  {
    temp_dir dir;
    service_process service{dir.path(),
                            {{"PHI_FAULTS", "store.release=block"},
                             {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
                             {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}}};
    auto stop = ctl(dir, {"stop", "--wait"});
    CHECK(stop.code == 81);
    CHECK(service.wait().code == 81);
  }
  {
    temp_dir dir;
    service_process service{dir.path()};
    CHECK(ctl(dir, {"stop", "--wait", "--mode", "immediate"}).code == 82);
    CHECK(service.wait().code == 82);
  }
}

TEST_CASE("stop --dry-run changes nothing, and its order is the real one") {
  temp_dir dir;
  json plan;
  {
    service_process service{dir.path()};
    auto shown = ctl(dir, {"stop", "--dry-run"});
    CHECK(shown.code == 0);
    CHECK(has(shown.out, "Nothing was changed."));
    CHECK(has(shown.out, "Deadline 30 s, forced exit at 40 s"));
    plan = json::parse(ctl(dir, {"--json", "stop", "--dry-run"}).out)["plan"];
    CHECK(get(service.port(), "/health/ready").status == 200);
    CHECK(service.stop().code == 0);
  }
  int runs = has_sanitizer() ? 10 : 100;
  for (int run = 0; run < runs; ++run) {
    service_process service{dir.path()};
    std::unique_ptr<load> clients;
    if (run % 4 == 0)
      clients = std::make_unique<load>(service.port(), "load", 2);
    CHECK(service.stop().code == 0);
    auto report = json::parse(service.last_exit());
    REQUIRE(report["actors"].size() == plan["actors"].size());
    std::map<std::string, json> rows;
    for (size_t i = 0; i < plan["actors"].size(); ++i) {
      CHECK(report["actors"][i]["actor"] == plan["actors"][i]["actor"]);
      rows[report["actors"][i]["actor"]] = report["actors"][i];
    }
    for (const auto& planned : plan["actors"])
      for (const auto& user : planned["after"]) // released only when its users are gone
        CHECK(rows[planned["actor"]]["releasedMs"].get<double>()
              >= rows[user.get<std::string>()]["goneMs"].get<double>());
  }
}

TEST_CASE("last-exit after every kind of end") {
  REQUIRE(has_faults());
  temp_dir dir;
  auto last = [&](std::vector<std::string> more = {}) {
    std::vector<std::string> words{phictl(), "last-exit", "--state-dir", dir.path()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words).out;
  };
  {
    service_process service{dir.path()};
    service.stop();
    CHECK(
      has(last(), "clean stop, ledger balanced (exit status 0), graceful, because of terminate"));
    CHECK(has(last({"--explain"}), "it went as it should"));
    CHECK(json::parse(last({"--json"}))["exitCode"] == 0);
  }
  {
    service_process service{dir.path(),
                            {{"PHI_FAULTS", "store.release=block"},
                             {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
                             {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}}};
    service.stop();
    CHECK(has(last(), "(exit status 81)"));
    CHECK(has(last({"--explain"}), "store_budget_percent"));
  }
  {
    service_process service{dir.path()};
    service.kill();
    service_process again{dir.path()};
    CHECK(has(last(), "ended without a report"));
    CHECK(has(last({"--explain"}), "look for a kill"));
    CHECK(has(ctl(dir, {"last-exit"}).out, "ended without a report")); // asked of the service
    again.stop();
  }
  {
    service_process service{dir.path(), {{"PHI_FAULTS", "stats.ingest=throw"}}};
    post(service.port(), "/api/v1/events", R"({"feature":"f"})");
    CHECK(service.wait().code == 80);
    CHECK(has(last({"--explain"}), "an actor died"));
  }
  {
    temp_dir other;
    service_process taken{other.path()};
    service_process service{dir.path(), {{"APP_SERVER_PORT", std::to_string(taken.port())}}, false};
    CHECK(service.wait().code == 1);
    CHECK(has(last({"--explain"}), "the start failed"));
  }
}

// -- tracing ------------------------------------------------------------------------------------

TEST_CASE("PHI_TRACE=FILE: the trace of a whole run loads, every arrow has both ends, spans nest") {
  temp_dir dir;
  auto file = dir.path("trace.json");
  double took_ms = 0;
  {
    service_process service{dir.path(), {{"PHI_TRACE", file}}};
    {
      load clients{service.port(), "secret-feature", 4};
      std::this_thread::sleep_for(200ms);
    }
    CHECK(service.stop().code == 0);
    took_ms = json::parse(service.last_exit())["tookMs"];
  }
  auto text = read_file(file);
  CHECK_FALSE(has(text, "secret-feature")); // data of users are left out
  auto events = json::parse(text);
  std::map<int, std::string> tracks;
  std::map<std::pair<int, int64_t>, int> arrow_ends;
  std::map<int, std::vector<std::pair<double, double>>> spans;
  std::set<std::string> stopped;
  for (const auto& event : events) {
    auto phase = event["ph"].get<std::string>();
    if (event["name"] == "thread_name")
      tracks[event["tid"]] = event["args"]["name"];
    if (phase == "s" || phase == "f")
      ++arrow_ends[{phase == "s", event["id"].get<int64_t>()}];
    if (phase == "X" && event.value("cat", "") != "outside")
      spans[event["tid"]].emplace_back(event["ts"],
                                       event["ts"].get<double>() + event["dur"].get<double>());
    if (event["name"] == "down" && phase == "X")
      stopped.insert(event["args"]["from"]);
  }
  for (const auto& [end, times] : arrow_ends) {
    CHECK(times == 1);
    CHECK(arrow_ends.contains({!end.first, end.second}));
  }
  CHECK(arrow_ends.size() > 100);
  CHECK(stopped
        == std::set<std::string>{"http", "stats", "reader", "inspector", "store", "admin",
                                 "watchdog", "signal"});
  for (auto& [track, list] : spans) {
    CAPTURE(tracks[track]);
    std::sort(list.begin(), list.end(), [](auto& a, auto& b) {
      return a.first < b.first || (a.first == b.first && a.second > b.second);
    });
    std::vector<double> open;
    bool nests = true;
    for (const auto& [from, to] : list) {
      while (!open.empty() && open.back() <= from)
        open.pop_back();
      nests &= open.empty() || to <= open.back() + 0.01;
      open.push_back(to);
    }
    CHECK(nests);
  }
  // The stop on the supervisor's track: from `terminate` to its last DOWN it lasts as reported.
  double from = 0;
  double to = 0;
  for (const auto& event : events)
    if (event["ph"] == "X" && tracks[event["tid"]] == "supervisor") {
      if (event["name"] == "terminate")
        from = event["ts"];
      to = std::max(to, event["ts"].get<double>());
    }
  CHECK((to - from) / 1000 == doctest::Approx(took_ms).epsilon(0.1).scale(1));
  auto diagram = run_program({phictl(), "trace", "diagram", file});
  CHECK(diagram.code == 0);
  CHECK(diagram.out.starts_with("sequenceDiagram\n"));
  CHECK(has(diagram.out, "signal->>supervisor: "));
  CHECK(has(diagram.out, "supervisor->>http: "));
  CHECK(has(diagram.out, "signal--xsupervisor"));
  CHECK_FALSE(has(diagram.out, "handled")); // nobody was stuck
}

TEST_CASE("what is closed at the start is no place for the socket: nothing is said into it") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  std::ofstream lines{dir.path("lines")};
  for (int i = 0; i < 20; ++i)
    lines << (i % 10 == 3 ? R"({"wrong":1})" : R"({"feature":"f"})") << "\n";
  lines.close();
  auto at = phictl() + " --socket " + dir.path("admin.sock");
  auto sent = shell(at + " import --again one " + dir.path("lines") + " 2>&-");
  CHECK(sent.code == 1);
  CHECK(has(sent.out, "18 stored"));
  CHECK(has(sent.out, "2 rejected"));
  CHECK(shell(at + " tail -n 2 >&- 2>&- <&-").code == 0);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 18);
}

TEST_CASE("the trace of a forced exit loads as well, and shows how far the stop came") {
  REQUIRE(has_faults());
  temp_dir dir;
  auto file = dir.path("trace.json");
  service_process service{dir.path(),
                          {{"PHI_TRACE", file},
                           {"PHI_FAULTS", "store.release=block"},
                           {"APP_SHUTDOWN_TIMEOUT_SECS", "1"},
                           {"APP_SHUTDOWN_FORCE_DELAY_SECS", "0"}}};
  CHECK(service.stop().code == 81);
  auto diagram = run_program({phictl(), "trace", "diagram", file});
  CHECK(diagram.code == 0);
  CHECK(has(diagram.out, "stats--xsupervisor"));
  CHECK_FALSE(has(diagram.out, "store--xsupervisor"));
  // What the store was told when it was late lies in its mailbox.
  CHECK(has(diagram.out, "supervisor-xstore: "));
  CHECK(has(diagram.out, " ms release (never handled)\n"));
}

TEST_CASE("PHI_TRACE=1 writes to the log; filters and user data as asked") {
  temp_dir dir;
  {
    service_process service{
      dir.path(), {{"PHI_TRACE", "1"}, {"PHI_TRACE_ACTORS", "stats"}, {"PHI_TRACE_CONTENT", "1"}}};
    post(service.port(), "/api/v1/events", R"({"feature":"shown","id":"1"})");
    CHECK(service.wait_for_log("message=ingest"));
    CHECK(service.logged("from=outside to=stats message=ingest"));
    CHECK(service.logged("shown"));
    CHECK_FALSE(service.logged("to=store message="));
    service.stop();
  }
  service_process service{dir.path(), {{"PHI_TRACE", "/nowhere/at/all.json"}}};
  CHECK(service.logged("cannot write the trace to /nowhere/at/all.json"));
  CHECK(service.stop().code == 0);
}

TEST_CASE("tracing is switched live, and its memory is read page by page") {
  temp_dir dir;
  service_process service{dir.path()};
  CHECK(ctl(dir, {"trace", "on", "--message", "commit", "--message", "committed"}).code == 0);
  {
    load clients{service.port(), "load", 4};
    std::this_thread::sleep_for(500ms);
  }
  auto file = dir.path("live.json");
  auto dumped = ctl(dir, {"trace", "dump", file});
  CHECK(dumped.code == 0);
  auto events = json::parse(read_file(file));
  std::set<std::string> names;
  for (const auto& event : events)
    if (event.value("cat", "") == "message")
      names.insert(event["name"]);
  CHECK(names == std::set<std::string>{"commit", "committed"});
  CHECK(ctl(dir, {"trace", "off"}).code == 0);
  ctl(dir, {"trace", "dump", file}); // what was still going on when it was switched off
  auto size = json::parse(read_file(file)).size();
  post(service.port(), "/api/v1/events", R"({"feature":"f"})");
  ctl(dir, {"trace", "dump", file});
  CHECK(json::parse(read_file(file)).size() == size);
  CHECK(run_program({phictl(), "trace", "diagram", file}).code == 1); // no stop in it
  CHECK(service.stop().code == 0);
}
