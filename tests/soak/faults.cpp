#include "tests/soak/faults.hpp"

#include "protocol/lifecycle.hpp"
#include "tests/soak/process_faults.hpp"
#include "tests/soak/senders.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/phictl.hpp"

#include <csignal>
#include <fstream>
#include <sqlite3.h>
#include <sys/resource.h>

namespace phi::soak {
namespace {

using namespace std::chrono_literals;
using testing::eventually;

/// While it lives, the service may find no database to start with.
class no_start_while {
public:
  explicit no_start_while(soaked_service& at) : at_{at} { ++at_.no_start; }
  ~no_start_while() { --at_.no_start; }
  no_start_while(const no_start_while&) = delete;

private:
  soaked_service& at_;
};

void descriptor_famine(soaked_service& at, chance& by) {
  auto pid = at.pid();
  rlimit before{};
  if (pid <= 0 || ::prlimit(pid, RLIMIT_NOFILE, nullptr, &before) != 0)
    return;
  auto scarce = before;
  scarce.rlim_cur = static_cast<rlim_t>(by.between(20, 60));
  ::prlimit(pid, RLIMIT_NOFILE, &scarce, nullptr);
  {
    std::vector<std::unique_ptr<testing::http_client>> many;
    for (int i = 0; i < 80; ++i)
      many.push_back(std::make_unique<testing::http_client>(at.port()));
    by.wait_ms(100, 1500);
  }
  ::prlimit(pid, RLIMIT_NOFILE, &before, nullptr);
}

void disk_full(soaked_service& at, chance& by) {
  no_start_while full{at};
  at.disk()->fill();
  by.wait_ms(200, 2500);
  at.disk()->clear();
}

void database_locked(soaked_service& at, chance& by) {
  no_start_while locked{at};
  sqlite3* db = nullptr;
  sqlite3_open((at.directory() + "/disk/phi.db").c_str(), &db);
  sqlite3_busy_timeout(db, 5000);
  sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  by.wait_ms(100, 3000);
  sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(db);
}

void backup(soaked_service& at, chance&) {
  auto file = at.directory() + "/backup.db";
  std::filesystem::remove(file);
  auto made = testing::run_program(
    {testing::phictl(), "--socket", at.directory() + "/admin.sock", "backup", file});
  if (made.code != 0)
    return; // the service may be stopping
  if (testing::in_file(file)("PRAGMA integrity_check") != std::vector<std::string>{"ok"})
    at.wrong("a backup is damaged");
  if (auto mismatch = testing::count_mismatch(testing::in_file(file)); !mismatch.empty())
    at.wrong("a backup's counts differ from its rows: " + mismatch);
}

bool answers(soaked_service& at) {
  try {
    return at.server().number("SELECT 1") == 1;
  } catch (const std::exception&) {
    return false; // away, or recovering
  }
}

void postgres_stopped(soaked_service& at, chance& by) {
  at.server().stop(by.one_in(2) ? "fast" : "immediate");
  by.wait_ms(50, 3000);
  at.server().start();
}

void backends_killed(soaked_service& at, chance&) {
  if (!answers(at))
    return;
  at.server().kill_backends();
  eventually([&] { return answers(at); }, 20s);
}

void backends_terminated(soaked_service& at, chance& by) {
  for (int i = by.between(1, 5); i > 0 && answers(at); --i) {
    at.server().ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'phi-backend%'");
    by.wait_ms(10, 300);
  }
}

/// The processes of the server: its first and all that it has started.
std::vector<pid_t> processes_of(soaked_service& at) {
  pid_t first = 0;
  std::ifstream{at.server().directory() + "/postmaster.pid"} >> first;
  std::vector<pid_t> out{first};
  std::ifstream children{"/proc/" + std::to_string(first) + "/task/" + std::to_string(first)
                         + "/children"};
  for (pid_t pid = 0; children >> pid;)
    out.push_back(pid);
  return out;
}

void postgres_frozen(soaked_service& at, chance& by) {
  auto them = processes_of(at);
  for (auto pid : them)
    ::kill(pid, SIGSTOP);
  by.wait_ms(100, 4000);
  for (auto pid : them)
    ::kill(pid, SIGCONT);
}

void postgres_read_only(soaked_service& at, chance& by) {
  at.server().set("default_transaction_read_only = on");
  by.wait_ms(100, 1500);
  at.server().set("default_transaction_read_only = off");
}

void network_cut(soaked_service& at, chance& by) {
  if (by.one_in(3))
    return at.network().reset();
  at.network().cut();
  by.wait_ms(200, 4000);
  if (by.one_in(2))
    at.network().reset();
  at.network().heal();
}

void table_locked(soaked_service& at, chance& by) {
  if (!answers(at))
    return;
  testing::postgres_session other{at.server().url()};
  other.run("BEGIN");
  other.run("LOCK TABLE " + by.of(std::vector<std::string>{"event", "identity", "uncounted"})
            + " IN ACCESS EXCLUSIVE MODE");
  by.wait_ms(100, 3000);
  other.run("COMMIT");
}

std::vector<fault> all_faults(bool has_disk) {
  constexpr auto process = befalls::process;
  constexpr auto world = befalls::world;
  std::vector<fault> out{
    {"restart", process, true, true, restart},
    {"two signals", process, true, true, two_signals},
    {"fast stop", process, true, true, fast_stop},
    {"kill", process, true, true, kill_and_start},
    {"kill at a point", process, true, true, kill_at_a_point},
    {"reload", process, true, true, reload},
    {"freeze", process, true, true, freeze},
    {"lame duck and dump", process, true, true, lame_duck_and_dump},
    {"stuck actor", process, true, true, stuck_actor},
    {"throwing actor", process, true, true, throwing_actor},
    {"connect and reset", world, true, true, connect_and_reset},
    {"slow clients", world, true, true, slow_clients},
    {"half-open clients", world, true, true, half_open},
    {"abandoned questions", world, true, true, abandoned_questions},
    {"wrong input", world, true, true, wrong_input},
    {"poison", world, true, true, poison},
    {"descriptor famine", world, true, true, descriptor_famine},
    {"database locked", world, true, false, database_locked},
    {"backup", world, true, false, backup},
    {"PostgreSQL stopped", world, false, true, postgres_stopped},
    {"backends killed", world, false, true, backends_killed},
    {"backends terminated", world, false, true, backends_terminated},
    {"PostgreSQL frozen", world, false, true, postgres_frozen},
    {"PostgreSQL read-only", world, false, true, postgres_read_only},
    {"network cut", world, false, true, network_cut},
    {"table locked", world, false, true, table_locked},
  };
  if (has_disk)
    out.push_back({"disk full", world, true, true, disk_full});
  return out;
}

} // namespace

std::vector<fault> faults_of(soaked_service& at, befalls whom) {
  std::vector<fault> out;
  for (auto& one : all_faults(at.disk() != nullptr))
    if (one.whom == whom && (at.kind() == database::sqlite ? one.on_sqlite : one.on_postgres))
      out.push_back(std::move(one));
  return out;
}

} // namespace phi::soak
