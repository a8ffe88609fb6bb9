// The process as the watchdog sees it: what is shown to a service manager, and what is done about
// an actor that is stuck.

#include "server/process/process_watch.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/notify_socket.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/temp_dir.hpp"

#include <sys/syscall.h>
#include <unistd.h>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// A watch under a service manager that writes down what it is told.
struct watched_process {
  explicit watched_process(const char* limit_us, bool abort_when_stuck = false)
    : limit("WATCHDOG_USEC", limit_us),
      watch(manager, abort_when_stuck,
            [this](const std::string& actor) { stuck.push_back(actor); }) {}

  temp_dir dir;
  notify_socket socket{dir.path("notify")};
  scoped_variable address{"NOTIFY_SOCKET", socket.path().c_str()};
  scoped_variable of{"WATCHDOG_PID"};
  scoped_variable limit;
  systemd::service_manager manager;
  std::vector<std::string> stuck;
  process_watch watch;
};

health_view away() {
  return {{{"store", cause_kind::degraded, "no host db.example", "away"}}, true};
}

} // namespace

TEST_CASE("process watch: the manager hears who is late, else what ails the service, once each") {
  watched_process at{"10000000"};
  CHECK(at.watch.manager_limit() == duration{10s});
  at.manager.status("ready");
  at.watch.show_health(away());
  at.watch.show_health(away());
  at.watch.show_late("stats has not answered for 6.0 s");
  at.watch.show_health(away());
  at.watch.show_late("");
  at.watch.show_health({});
  at.watch.beat();
  CHECK(at.socket.wait_for("WATCHDOG=1"));
  CHECK(at.socket.lines()
        == std::vector<std::string>{
          "STATUS=ready", "STATUS=ready; degraded: store: no host db.example",
          "STATUS=ready; degraded: stats has not answered for 6.0 s",
          "STATUS=ready; degraded: store: no host db.example", "STATUS=ready", "WATCHDOG=1"});
  auto view = at.watch.board().read(clock::now());
  CHECK_FALSE(view.degraded());
}

TEST_CASE("process watch: everybody learns how the service is, until a stop begins") {
  watched_process at{nullptr};
  int rests = 0;
  at.watch.rest(); // nobody wants to know
  at.watch.on_rest = [&] { ++rests; };
  at.manager.status("ready");
  at.watch.show_health(away());
  CHECK(at.watch.board().read(clock::now()).refuses_events);
  CHECK(at.watch.board().read(clock::now() + 1h).causes.size() == 2); // nobody has looked since
  at.watch.rest();
  CHECK(rests == 1);
  CHECK(at.watch.board().read(clock::now() + 1h).causes.empty());
  at.watch.beat();
  CHECK(at.socket.wait_for("WATCHDOG=1"));
  auto lines = at.socket.lines();
  REQUIRE(lines.size() == 4);
  CHECK(lines[2] == "STATUS=ready");
}

TEST_CASE("process watch: with a manager's watchdog that starts the service anew") {
  recorded_log log;
  for (bool aborts : {false, true}) { // the manager comes first
    watched_process at{"10000000", aborts};
    at.watch.give_up("store");
    CHECK(at.socket.wait_for("WATCHDOG=trigger"));
    CHECK(at.stuck == std::vector<std::string>{"store"});
  }
  CHECK(log.count("has the service manager start the service anew stuck=store") == 2);
}

TEST_CASE("process watch: without one nothing is done unless an abort is configured") {
  recorded_log log;
  watched_process at{nullptr};
  CHECK_FALSE(at.watch.manager_limit());
  at.watch.give_up("store");
  CHECK(at.stuck.empty()); // the next start must not say that it was given up
  CHECK(log.text().empty());
  CHECK(at.socket.count("WATCHDOG") == 0);
}

TEST_CASE("process watch: looks around as it is told to, and not before") {
  watched_process at{nullptr};
  CHECK(at.watch.inspect_parts().empty());
  at.watch.on_inspect_parts = [] { return std::vector<outside_part>{{.name = "loop 1"}}; };
  CHECK(at.watch.inspect_parts().at(0).name == "loop 1");
}

TEST_CASE("process watch: the times of a thread of ours, and of none else") {
  watched_process at{nullptr};
  auto own = static_cast<int>(::syscall(SYS_gettid));
  auto before = at.watch.times_of(own);
  REQUIRE(before);
  volatile uint64_t work = 0;
  for (auto end = clock::now() + 20ms; clock::now() < end;)
    work = work + 1;
  auto after = at.watch.times_of(own);
  REQUIRE(after);
  CHECK(after->ran > before->ran);
  CHECK(after->waited >= before->waited);
  CHECK_FALSE(at.watch.times_of(0)); // of an actor that has no thread of its own
  CHECK_FALSE(at.watch.times_of(-1));
  CHECK(at.watch.suspended() >= duration{});
}
