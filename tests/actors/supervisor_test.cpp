// The supervisor as a watcher and a teller, on virtual time: of the watchdog, of the service
// manager, and of its own death.

#include "tests/support/doctest.hpp"
#include "tests/support/fake_children.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

#include <algorithm>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

TEST_CASE(
  "a stop that makes progress asks the manager for time; one that makes none is ended first") {
  virtual_system on;
  fake_graph graph{on, three_children(manner::slow, manner::slow, manner::deaf)};
  graph.service->stop_limit = duration{4s};
  graph.terminate();
  CHECK(*graph.service->hard == on.now() + 3s);
  on.advance(3s); // http is gone after 2 s: that is progress
  CHECK(graph.service->extensions.size() >= 1);
  on.advance(3s); // so is stats
  auto extensions = graph.service->extensions.size();
  CHECK(extensions >= 2);
  auto hard = *graph.service->hard;
  on.advance(20s); // store is deaf: no progress, no extension
  CHECK(graph.service->extensions.size() == extensions);
  CHECK(*graph.service->hard == hard);
  CHECK(hard < on.now());
}

TEST_CASE("what was done before a stop is no progress of it") {
  virtual_system on;
  fake_graph graph{on, three_children(manner::deaf)}; // each says that it has done 7 things
  graph.service->stop_limit = duration{4s};
  graph.terminate();
  on.advance(10s);
  CHECK(graph.service->extensions.empty());
}

TEST_CASE("the supervisor watches the watchdog") {
  recorded_log log;
  virtual_system on;
  auto plans = three_children();
  plans[0].name = "watchdog";
  fake_graph graph{on, plans, true, {}, 30s, 5s};
  for (int i = 0; i < 10; ++i) {
    tell_from_outside(graph.supervisor, atom::ping_v);
    on.advance(2s);
  }
  CHECK(graph.service->stuck_actors.empty());
  on.advance(3100ms);
  CHECK(log.contains("misses the watchdog"));
  CHECK(graph.service->stuck_actors.empty()); // what was said must be written first
  on.advance(1s);
  REQUIRE(graph.service->stuck_actors.size() == 1);
  CHECK(graph.service->stuck_actors[0] == "watchdog");
}

TEST_CASE("a watchdog that pings again in time is not given up") {
  recorded_log log;
  virtual_system on;
  auto plans = three_children();
  plans[0].name = "watchdog";
  fake_graph graph{on, plans, true, {}, 30s, 5s};
  on.advance(5100ms);
  CHECK(log.contains("misses the watchdog"));
  tell_from_outside(graph.supervisor, atom::ping_v);
  on.advance(2s);
  CHECK(graph.service->stuck_actors.empty());
}

TEST_CASE("the watchdog is watched whatever the phase of the status line") {
  for (auto phase = 0ms; phase < 2000ms; phase += 50ms) {
    CAPTURE(phase.count());
    virtual_system on;
    auto plans = three_children();
    plans[0].name = "watchdog";
    fake_graph graph{on, plans, true, {}, 30s, 5s};
    graph.service->status_shown = true;
    tell_from_outside(graph.supervisor, atom::reload_v); // sets the timer of the status line
    on.advance(2s + phase);
    tell_from_outside(graph.supervisor, atom::ping_v); // its last
    on.advance(5390ms);
    CHECK(graph.service->stuck_actors.empty());
    on.advance(10ms); // 5 s of silence, and 0.4 s for what is said of it
    CHECK(graph.service->stuck_actors == std::vector<std::string>{"watchdog"});
  }
}

TEST_CASE("a watchdog that comes back before it is given up is not given up") {
  virtual_system on;
  auto plans = three_children();
  plans[0].name = "watchdog";
  fake_graph graph{on, plans, true, {}, 30s, 5s};
  tell_from_outside(graph.supervisor, atom::ping_v);
  on.advance(5100ms); // missed, and about to be given up
  tell_from_outside(graph.supervisor, atom::ping_v);
  on.advance(1s);
  CHECK(graph.service->stuck_actors.empty());
  on.advance(5s); // and once more it is silent
  CHECK(graph.service->stuck_actors == std::vector<std::string>{"watchdog"});
}

TEST_CASE("a supervisor that dies leaves the process to the last resort, with the cause") {
  virtual_system on;
  fake_graph graph{on, three_children()};
  caf::anon_send_exit(graph.supervisor, caf::exit_reason::kill);
  on.run();
  CHECK(graph.service->death == "it was ended from outside");
  CHECK(graph.service->last_draft.actors.size() == 3);
  CHECK_FALSE(graph.finished());
  virtual_system other;
  fake_graph well{other, three_children()};
  well.terminate();
  CHECK(well.finished());
  CHECK(well.service->death.empty());
}

TEST_CASE("the status line is renewed while somebody shows it, and not in a stop") {
  virtual_system on;
  fake_graph graph{on, three_children(manner::obedient, manner::deaf), true};
  graph.service->status_shown = true;
  tell_from_outside(graph.supervisor, atom::reload_v); // wakes the timer
  auto lines = [&] {
    const auto& texts = graph.service->texts;
    return std::count_if(texts.begin(), texts.end(), [](const std::string& text) {
      return text.starts_with("ready: "); // the state alone is "ready"
    });
  };
  on.advance(10s);
  auto before = lines();
  CHECK(before >= 4); // every 2 s
  CHECK(before <= 6);
  on.advance(4s);
  CHECK(lines() == before + 2);
  graph.terminate();
  on.advance(20s);
  CHECK_FALSE(graph.finished());
  CHECK(lines() == before + 2);
  CHECK(graph.service->texts.back().starts_with("draining: "));
}

TEST_CASE("an actor that dies while others start is given up: nobody waits for it") {
  auto plans = three_children();
  plans[0].acts = manner::starting_late;
  virtual_system on;
  fake_graph graph{on, plans};
  REQUIRE(graph.service->state == service_state::starting);
  CHECK(graph.given_up.empty());
  graph.kill_child("store");
  CHECK(graph.given_up.front() == "store");
  REQUIRE(on.advance_until([&] { return graph.finished(); }, 5s));
  CHECK(graph.service->result->code == exit_code::startup_failed);
  CHECK(std::count(graph.given_up.begin(), graph.given_up.end(), "store") == 1);
}
TEST_CASE("the store that waits for its restart is started for what was acknowledged when a stop "
          "begins, and who is not needed then is not") {
  virtual_system on;
  auto plans = three_children();
  plans[2].needed_in_stop = true;
  fake_graph graph{on, plans};
  graph.kill_child(plans[2].name);
  graph.terminate();
  REQUIRE(graph.finished());
  CHECK(graph.starts[plans[2].name] == 2);
  CHECK(graph.service->result->code == exit_code::clean);
}
