// The process as the supervisor sees it: what a service manager hears of each state, what a reload
// changes, and how the process ends.

#include "server/process/service.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/notify_socket.hpp"
#include "tests/support/own_process.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <thread>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

struct service_fixture {
  /// `notify`: where a manager listens; empty: there is none.
  service_fixture(const temp_dir& dir, const std::string& notify, const std::string& settings_text,
                  const char* watchdog_us = nullptr)
    : address("NOTIFY_SOCKET", notify.empty() ? nullptr : notify.c_str()),
      limit("WATCHDOG_USEC", watchdog_us),
      file(dir.path("phi.toml")),
      state(dir.path("state")) {
    rewrite(settings_text);
    auto loaded = source.load();
    REQUIRE(loaded.ok());
    process.emplace(service_parts{state, resort, log, source, manager, watch, life},
                    std::make_shared<const config>(loaded.values), loaded.origins);
  }

  void rewrite(const std::string& text) const { write_text(file, text); }

  scoped_variable no_journal{"JOURNAL_STREAM"};
  scoped_variable no_level{"PHI_LOG"};
  scoped_variable of{"WATCHDOG_PID"};
  scoped_variable address;
  scoped_variable limit;
  std::string file;
  process_log log{log_level::info, "full"};
  recorded_log said; // in the place of the log
  state_directory state;
  last_resort resort;
  life_history life{""};
  settings_source source{file};
  systemd::service_manager manager;
  std::vector<std::string> stuck;
  process_watch watch{manager, false, [this](const std::string& who) { stuck.push_back(who); }};
  std::optional<service> process;
};

/// Under a manager that reads.
struct managed : temp_dir {
  explicit managed(const std::string& settings = "", const char* watchdog_us = nullptr)
    : socket(path("notify")),
      at(*this, socket.path(), settings, watchdog_us) {}

  /// What the manager has heard since the last time.
  texts heard() {
    auto all = socket.lines();
    texts out{all.begin() + static_cast<ptrdiff_t>(known_), all.end()};
    known_ = all.size();
    std::erase_if(out, [](const auto& line) { return line.starts_with("MONOTONIC_USEC="); });
    return out;
  }
  texts heard_of(service_state state, const std::string& text) {
    at.process->state_changed(state, text);
    return heard();
  }

  notify_socket socket;
  service_fixture at;

private:
  size_t known_ = 0;
};

exit_report report_of(exit_code code) {
  return {.mode = stop_mode::graceful,
          .reason = stop_reason::terminate,
          .code = code,
          .began = clock::now(),
          .took = 1500ms};
}

const systemd::unit_limits shipped{"phi-backend.service", duration{45s}, duration{45s},
                                   duration{90s}};

/// Keeps the levels of what is logged.
struct levels : log_sink {
  levels() { set_log_sink(this); }
  ~levels() override { set_log_sink(nullptr); }
  bool wants(log_level) const noexcept override { return true; }
  void write(log_level level, std::string_view, std::string_view text,
             const log_fields&) noexcept override {
    said.emplace_back(level, text);
  }
  std::vector<std::pair<log_level, std::string>> said;
};

} // namespace

TEST_CASE("service: the manager hears of each state in its own terms, readiness comes first") {
  managed unit{"[shutdown]\nstart_timeout_secs = 30\n"};
  std::vector<std::pair<bool, size_t>> readiness; // and how much the manager had heard before
  unit.at.process->on_ready_changed = [&](bool ready) {
    readiness.emplace_back(ready, unit.socket.lines().size());
  };
  // A start gets on: the manager waits as long as we do, and for our last words.
  CHECK(unit.heard_of(service_state::starting, "opens the store")
        == texts{"STATUS=opens the store", "EXTEND_TIMEOUT_USEC=35000000"});
  CHECK(unit.heard_of(service_state::starting, "opens the store")
        == texts{"EXTEND_TIMEOUT_USEC=35000000"});
  CHECK(readiness.empty());
  CHECK(unit.heard_of(service_state::ready, "ready") == texts{"READY=1", "STATUS=ready"});
  CHECK(readiness == std::vector<std::pair<bool, size_t>>{{true, 3}});
  CHECK(unit.heard_of(service_state::ready, "1 event") == texts{"STATUS=1 event"});
  CHECK(readiness.size() == 1);
  CHECK(unit.heard_of(service_state::lame_duck, "lame duck") == texts{"STATUS=lame duck"});
  CHECK(unit.heard_of(service_state::ready, "ready") == texts{"STATUS=ready"});
  CHECK(unit.heard_of(service_state::reloading, "reloads")
        == texts{"RELOADING=1", "STATUS=reloads"});
  CHECK(readiness.size() == 3); // requests are served meanwhile
  CHECK(unit.heard_of(service_state::ready, "ready") == texts{"READY=1", "STATUS=ready"});
  unit.heard_of(service_state::lame_duck, "lame duck");
  unit.heard_of(service_state::reloading, "reloads");
  CHECK(unit.heard_of(service_state::lame_duck, "lame duck")
        == texts{"READY=1", "STATUS=lame duck"}); // the reload is over
  auto before = unit.socket.lines().size();
  CHECK(unit.heard_of(service_state::stopping, "stops") == texts{"STOPPING=1", "STATUS=stops"});
  CHECK(readiness.back() == std::pair{false, before});
  CHECK(unit.heard_of(service_state::stopping, "waits for http") == texts{"STATUS=waits for http"});
  std::vector<bool> told;
  for (auto [ready, heard] : readiness)
    told.push_back(ready);
  CHECK(told == std::vector<bool>{true, false, true, true, false, false, false});
  CHECK(unit.at.said.count("supervisor is ready") == 3);
  CHECK(unit.at.said.count("supervisor is stops") == 1);
  CHECK_FALSE(unit.at.said.contains("1 event")); // no change of state
  CHECK(unit.at.process->shows_status());
}

TEST_CASE("service: without a manager all goes on as well") {
  temp_dir dir;
  service_fixture at{dir, "", ""};
  std::vector<bool> readiness;
  at.process->on_ready_changed = [&](bool ready) { readiness.push_back(ready); };
  at.process->state_changed(service_state::ready, "ready");
  at.process->state_changed(service_state::stopping, "stops");
  CHECK(readiness == std::vector<bool>{true, false});
  CHECK_FALSE(at.process->shows_status());
  CHECK_FALSE(at.process->manager_stop_limit());
  CHECK_FALSE(at.process->unit_limits());
}

TEST_CASE("service: of the unit's limits what does not fit is told, and how long a stop may take") {
  managed unit{"[server]\nport = 4000\n"};
  unit.at.process->learn_limits(shipped);
  CHECK(unit.at.said.text().empty());
  CHECK(unit.at.process->manager_stop_limit() == duration{45s});
  auto limits = shipped;
  limits.stop = duration{40s};
  limits.socket = "phi-backend.socket";
  unit.at.process->learn_limits(limits);
  CHECK(unit.at.process->manager_stop_limit() == duration{40s});
  CHECK(unit.at.process->unit_limits()->socket == "phi-backend.socket");
  CHECK(unit.at.said.contains(
    "config warns: a stop may take shutdown.timeout_secs + shutdown.force_delay_secs = 40 s, but "
    "TimeoutStopSec of phi-backend.service is 40 s"));
  CHECK(unit.at.said.contains("config warns: server.port = 4000 (" + unit.at.file
                              + ":2) has no effect: phi-backend.socket decides"));
  CHECK(unit.at.said.count("config warns") == 2);
  limits.stop.reset();
  unit.at.process->learn_limits(limits);
  CHECK_FALSE(unit.at.process->manager_stop_limit());
}

TEST_CASE("service: a reload is prepared without changing anything, and then holds") {
  managed unit{"[logging]\nlevel = \"info\"\n[server]\nport = 4000\n"};
  auto& process = *unit.at.process;
  unit.at.rewrite("\n[logging]\nlevel = \"debug\"\n[server]\nport = 4001\n"
                  "[shutdown.watchdog]\nabort = true\n");
  auto prepared = process.prepare_reload();
  CHECK(prepared.report.accepted.why() == "");
  CHECK(prepared.report.changed
        == texts{R"(logging.level: "info" -> "debug")", "shutdown.watchdog.abort: false -> true"});
  CHECK(prepared.report.needs_restart == texts{"server.port: 4000 -> 4001"});
  REQUIRE(prepared.next);
  CHECK(prepared.next->logging.level == "debug");
  CHECK(prepared.next->server.port == 4000);
  CHECK(process.settings()->logging.level == "info");
  CHECK(process.origins().at("logging.level") == unit.at.file + ":2");
  CHECK(unit.at.log.level_name() == "info");
  process.apply_settings(prepared.next);
  CHECK(process.settings() == prepared.next);
  CHECK(unit.at.log.level_name() == "debug");
  CHECK(process.origins().at("logging.level") == unit.at.file + ":3");
  CHECK(process.origins().at("server.port") == unit.at.file + ":4"); // as is its value
  unit.at.rewrite("");
  process.apply_settings(process.prepare_reload().next);
  CHECK(process.origins().at("logging.level") == "default");
  CHECK(process.origins().at("server.port") == unit.at.file + ":4");
}

TEST_CASE("service: a reload that is refused leaves all as it is, and says why") {
  managed unit{"[logging]\nlevel = \"warn\"\n"};
  auto& process = *unit.at.process;
  auto refused = [&](const std::string& text) {
    unit.at.rewrite(text);
    auto prepared = process.prepare_reload();
    CHECK_FALSE(prepared.next);
    CHECK(prepared.report.changed.empty());
    return prepared.report.accepted.why();
  };
  CHECK(refused("[logging]\nlevel = \"loud\"\n").find("logging.level") != std::string::npos);
  CHECK(refused("[admin]\ngroup = \"no-such-group\"\n")
        == "admin.group = \"no-such-group\": there is no such group");
  CHECK(process.settings()->logging.level == "warn");
  CHECK(process.origins().at("logging.level") == unit.at.file + ":2");
}

TEST_CASE("service: a reload warns of deadlines that the unit does not leave time for") {
  managed unit;
  auto& process = *unit.at.process;
  unit.at.rewrite("[shutdown]\ntimeout_secs = 300\n");
  CHECK(process.prepare_reload().report.warnings.empty()); // nothing is known of the unit
  process.learn_limits(shipped);
  auto warnings = process.prepare_reload().report.warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("TimeoutStopSec") != std::string::npos);
}

TEST_CASE("service: the watchdog may be silent for two and a half rounds, and is stuck then") {
  config settings;
  settings.shutdown.watchdog.interval_secs = 8;
  {
    managed unit;
    CHECK(unit.at.process->watchdog_silence(settings) == duration::zero()); // off
    settings.shutdown.watchdog.enabled = true;
    CHECK(unit.at.process->watchdog_silence(settings) == duration{20s});
  }
  managed unit{"", "20000000"}; // the manager wants a sign of life each 20 s
  settings.shutdown.watchdog.enabled = false;
  CHECK(unit.at.process->watchdog_silence(settings) == duration{12500ms});
  unit.at.process->stuck("watchdog");
  CHECK(unit.at.stuck == texts{"watchdog"});
  CHECK(unit.heard() == texts{"WATCHDOG=trigger"});
}

TEST_CASE("service: a report is told line by line, and an end that is not clean as an error") {
  exit_report report = report_of(exit_code::unaccounted);
  report.detail = "2 events";
  report.actors = {{.actor = "store", .state = exit_state::gone, .released = 0s, .gone = 1500ms}};
  report.actors[0].report =
    stopped_report{.actor = "store", .waits = {waited_for(work_code::commit, 1200ms)}};
  report.ledger = ledger_counts{.received = 2};
  levels log;
  log_report(report);
  REQUIRE(log.said.size() == 4);
  CHECK(log.said[1].second.starts_with("store "));
  CHECK(log.said[2].second == "blames: store waited 1.2 s for COMMIT");
  for (int i : {0, 1, 2})
    CHECK(log.said[static_cast<size_t>(i)].first == log_level::info);
  CHECK(log.said[3] == std::pair{log_level::error, std::string{describe(report.code)}});
  log.said.clear();
  log_report(report_of(exit_code::clean));
  REQUIRE(log.said.size() == 2); // nobody is to blame
  CHECK(log.said[1] == std::pair{log_level::info, std::string{describe(exit_code::clean)}});
}

TEST_CASE("service: when all is over the report is on disk, the manager knows, and it may end") {
  temp_dir dir;
  notify_socket socket{dir.path("notify")};
  auto ended = in_own_process([&](int words) {
    service_fixture at{dir, socket.path(), ""};
    at.state.begin_run().ignore("not what is tested");
    std::thread supervisor{[&] { at.process->finished(report_of(exit_code::child_died)); }};
    auto code = at.process->wait();
    auto kept = nlohmann::json::parse(text_in(dir.path("state/last-exit.json")));
    write_to(words, std::string{to_string(code)} + " " + kept["verdict"].get<std::string>());
    supervisor.join();
    for (;;)
      ::pause(); // what comes after hangs
  });
  CHECK(ended.status == static_cast<int>(exit_code::child_died)); // the code that is kept
  CHECK(ended.took >= defaults::teardown_limit);
  CHECK(ended.took < 5s);
  CHECK(ended.words == "child_died child_died");
  CHECK(socket.lines()
        == texts{"STATUS=stopped: " + std::string{describe(exit_code::child_died)}, "BARRIER=1"});
}

TEST_CASE("service: a stop is forced at its time, which moves when it gets on") {
  temp_dir dir;
  auto forced = [&](const std::function<void(service&)>& work) {
    return in_own_process([&](int) {
      service_fixture at{dir, "", ""};
      work(*at.process);
      for (;;)
        ::pause();
    });
  };
  auto draft = report_of(exit_code::clean);
  auto at_once = forced([&](service& process) { process.stop_begun(draft, clock::now() + 100ms); });
  CHECK(at_once.status == static_cast<int>(exit_code::forced_by_deadline));
  CHECK(at_once.took >= 100ms);
  auto later = forced([&](service& process) {
    process.stop_begun(draft, clock::now() + 100ms);
    process.stop_extended(5s, clock::now() + 300ms);
  });
  CHECK(later.status == static_cast<int>(exit_code::forced_by_deadline));
  CHECK(later.took >= 300ms);
  auto pressed = forced([&](service& process) {
    process.stop_begun(draft, std::nullopt);
    process.leave_now();
  });
  CHECK(pressed.status == static_cast<int>(exit_code::forced_by_user));
}

TEST_CASE("service: without a supervisor it leaves at once, and dumps what the actors did") {
  temp_dir dir;
  auto ended = in_own_process([&](int words) {
    service_fixture at{dir, "", ""};
    at.resort.set_last_words(
      {.say = [&](const exit_report& report) { write_to(words, at.said.text() + report.detail); }});
    auto draft = report_of(exit_code::clean);
    draft.actors = {{.actor = "store", .doing = "COMMIT for 3.0 s"}, {.actor = "http"}};
    at.process->supervisor_died("it threw", draft);
    for (;;)
      ::pause();
  });
  CHECK(ended.status == static_cast<int>(exit_code::child_died));
  CHECK(ended.words
        == "supervisor has died, and with it all order: leaves at once cause=it threw\n"
           "supervisor dumps an actor actor=store doing=COMMIT for 3.0 s\n"
           "supervisor dumps an actor actor=http doing=idle\nsupervisor: it threw");
}
