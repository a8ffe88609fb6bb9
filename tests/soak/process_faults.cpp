#include "tests/soak/process_faults.hpp"

#include "protocol/lifecycle.hpp"
#include "tests/support/eventually.hpp"

#include <csignal>

namespace phi::soak {
namespace {

using namespace std::chrono_literals;
using testing::eventually;

constexpr int clean = static_cast<int>(exit_code::clean);
constexpr int child_died = static_cast<int>(exit_code::child_died);
constexpr int startup_failed = static_cast<int>(exit_code::startup_failed);
constexpr int unaccounted = static_cast<int>(exit_code::unaccounted);
constexpr int forced = static_cast<int>(exit_code::forced_by_deadline);

/// Points that are passed when events are stored, and when there is no spool to take them.
std::vector<std::string> points(const soaked_service& at, bool with_questions) {
  std::vector<std::string> out{"store.begin",     "store.before_commit", "store.commit",
                               "store.committed", "stats.ingest",        "stats.committed"};
  if (at.kind() == database::postgres)
    out.insert(out.end(), {"membership.beat"});
  if (with_questions)
    out.push_back("reader.ask");
  return out;
}

void end_and_start(soaked_service& at, int signal, const std::set<int>& codes) {
  at.signal(signal);
  at.ended(codes);
  at.start();
}

void ask_something(soaked_service& at) {
  testing::http_client client{at.port()};
  if (client.connected())
    client.send("GET /api/v1/stats/summary HTTP/1.1\r\nHost: x\r\n\r\n");
}

} // namespace

void restart(soaked_service& at, chance&) {
  end_and_start(at, SIGTERM, {clean});
}

void two_signals(soaked_service& at, chance& by) {
  at.signal(SIGTERM);
  by.wait_ms(0, 600);
  end_and_start(at, SIGTERM, {clean});
}

void fast_stop(soaked_service& at, chance&) {
  end_and_start(at, SIGQUIT, {clean});
}

void kill_and_start(soaked_service& at, chance&) {
  end_and_start(at, SIGKILL, {-SIGKILL});
}

void kill_at_a_point(soaked_service& at, chance& by) {
  std::vector<std::string> where{"store.begin", "store.before_commit", "store.committed",
                                 "store.after_commit", "stats.committed"};
  if (at.kind() == database::postgres)
    where.insert(where.end(),
                 {"spool.append", "spool.appended", "spool.replay", "spool.committed"});
  at.signal(SIGTERM);
  at.ended({clean});
  at.start({{"PHI_FAULTS", by.of(where) + "=kill@" + std::to_string(by.between(1, 50))}});
  eventually([&] { return !at.running(); }, 3s);
  end_and_start(at, SIGKILL, {-SIGKILL});
}

void reload(soaked_service& at, chance& by) {
  for (int i = by.between(1, 6); i > 0; --i) {
    at.signal(SIGHUP);
    by.wait_ms(0, 300);
  }
}

void freeze(soaked_service& at, chance& by) {
  at.signal(SIGSTOP);
  by.wait_ms(100, 4000);
  at.signal(SIGCONT);
}

void lame_duck_and_dump(soaked_service& at, chance& by) {
  at.signal(SIGUSR2);
  by.wait_ms(0, 500);
  at.signal(SIGUSR1);
  at.signal(SIGUSR2);
}

void stuck_actor(soaked_service& at, chance& by) {
  auto where = by.of(points(at, true));
  auto manner = by.one_in(2) ? "=spin@" : "=block@";
  at.signal(SIGTERM);
  at.ended({clean});
  at.start({{"PHI_FAULTS", where + manner + std::to_string(by.between(1, 20))},
            {"APP_SHUTDOWN_TIMEOUT_SECS", "4"},
            {"APP_SHUTDOWN_FORCE_DELAY_SECS", "1"}});
  ask_something(at);
  by.wait_ms(500, 2500);
  ask_something(at);
  at.signal(SIGTERM);
  // Clean: nobody came to that point.
  if (at.ended({clean, forced}) == forced) {
    auto actor = where.substr(0, where.find('.'));
    auto report = at.last_exit();
    auto from = report.find("\"blame\"");
    if (report.substr(from == report.npos ? 0 : from).find(actor) == report.npos)
      at.wrong("forced because of " + where + ", and the report does not name it:\n" + report);
  }
  at.start();
}

void throwing_actor(soaked_service& at, chance& by) {
  auto where = by.of(points(at, true));
  at.signal(SIGTERM);
  at.ended({clean});
  at.start({{"PHI_FAULTS", where + "=throw@" + std::to_string(by.between(1, 50))}});
  ask_something(at);
  by.wait_ms(500, 3000);
  if (at.running())
    at.signal(SIGTERM);
  // Events that nobody waited for may be left when the store is gone: that is said. A first sign of
  // life that throws may end the start.
  at.ended({clean, child_died, unaccounted, startup_failed});
  at.start();
}

} // namespace phi::soak
