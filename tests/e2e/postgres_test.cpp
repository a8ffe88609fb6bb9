// PostgreSQL goes away in every way it can, under load: each acknowledged event is stored once, and
// the ledger balances.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/load.hpp"
#include "tests/support/postgres_drill.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

constexpr int repetitions = 10;

settings without_own(const std::string& url, settings more = {}) {
  more["APP_STATS_TRACK_REQUESTS"] = "false";
  return on_postgres(url, std::move(more));
}

/// Events that the service says its spool has lost.
size_t lost_from_spool(const service_process& service) {
  auto log = service.log();
  auto line = log.find("has lost batches that it had acknowledged");
  if (line == log.npos)
    return 0;
  auto text = log.substr(line, log.find('\n', line) - line);
  auto at = text.find("events=");
  return at == text.npos ? 0 : std::stoul(text.substr(at + 7));
}

/// Two pages in the middle of it.
void damage(const std::string& file) {
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp(static_cast<std::streamoff>(std::filesystem::file_size(file) / 8192 * 4096));
  out << std::string(8192, '\xff');
}

/// One server, one service, clients all the time; `fault` is done again and again.
void drill(const std::string& what, postgres_server& server, const std::string& url,
           const std::function<void(int)>& fault, settings more = {}) {
  temp_dir dir;
  service_process service{dir.path(), on_postgres(url, std::move(more))};
  load clients{service.port(), "load", 4};
  for (int i = 0; i < repetitions; ++i) {
    auto before = clients.acknowledged_so_far();
    CHECK(eventually([&] { return clients.acknowledged_so_far() > before + 20; }));
    if (i % 2) // every other time in the middle of what the last one left
      CHECK(eventually([&] { return answers_committed(service); }));
    fault(i);
  }
  auto before = clients.acknowledged_so_far();
  CHECK(eventually([&] { return clients.acknowledged_so_far() > before + 20; }));
  auto seen = clients.finish();
  drain_and_stop(service);
  say(what, seen);
  CHECK(seen.resets_after_send == 0);
  CHECK(seen.connections_refused == 0);
  CHECK_FALSE(service.logged("no further try")); // there is nothing wrong with any event
  CHECK_FALSE(service.logged("cannot hold"));
  CHECK_FALSE(service.logged("sets a batch aside"));
  CHECK_FALSE(service.logged("prepared statement")); // one that the session has, or has not
  check_exactly_once(server, seen);
}

} // namespace

TEST_CASE("events, duplicates and questions on PostgreSQL; the start makes the schema once") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url())};
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"f","id":"1"})").body
        == R"({"stored":1,"duplicates":0,"rejected":[],"durability":"committed"})");
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"f","id":"1"})").body
        == R"({"stored":0,"duplicates":1,"rejected":[],"durability":"committed"})");
  CHECK(get(service.port(), "/api/v1/stats/summary?feature=f").body.find("\"eventsTotal\":1")
        != std::string::npos);
  CHECK(service.stop().code == 0);
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 3);
  service_process again{dir.path(), on_postgres(server.url())};
  CHECK(again.stop().code == 0);
  CHECK_FALSE(again.logged("creates the schema"));
  CHECK_FALSE(again.logged("phi@")); // the URL is in no log
  CHECK(server.count_mismatch() == "");
}

TEST_CASE("PostgreSQL is stopped and started, fast") {
  postgres_server server;
  drill("stopped fast, started", server, server.url(), [&](int) {
    server.stop("fast");
    std::this_thread::sleep_for(50ms);
    server.start();
  });
}

TEST_CASE("PostgreSQL is stopped and started, immediately: it crashes and recovers") {
  postgres_server server;
  drill("stopped immediately, started", server, server.url(), [&](int) {
    server.stop("immediate");
    std::this_thread::sleep_for(50ms);
    server.start();
  });
}

TEST_CASE("a backend of PostgreSQL is killed") {
  postgres_server server;
  drill("backends killed", server, server.url(), [&](int) {
    CHECK(eventually([&] { return answers(server); }));
    server.kill_backends();
    CHECK(eventually([&] { return answers(server); }));
  });
}

TEST_CASE("the network is cut, half-open, and mended; and reset") {
  postgres_server server;
  tcp_proxy network{server.port()};
  drill("network cut", server, postgres_server::url(network.port()), [&](int i) {
    if (i % 3 == 2)
      return network.reset();
    network.cut();
    std::this_thread::sleep_for(i % 2 ? 2500ms : 400ms); // longer than the commit may take, or not
    if (i % 4 == 1)
      network.reset();
    network.heal();
  });
}

TEST_CASE("PostgreSQL refuses writes, and takes them again") {
  postgres_server server;
  drill("read-only", server, server.url(), [&](int) {
    server.set("default_transaction_read_only = on");
    std::this_thread::sleep_for(200ms);
    server.set("default_transaction_read_only = off");
  });
}

TEST_CASE("somebody holds a lock on a table") {
  postgres_server server;
  drill("table locked", server, server.url(), [&](int i) {
    postgres_session other{server.url()};
    other.run("BEGIN");
    other.run(i % 2 ? "LOCK TABLE identity IN ACCESS EXCLUSIVE MODE"
                    : "LOCK TABLE event IN ACCESS EXCLUSIVE MODE");
    std::this_thread::sleep_for(i % 3 ? 600ms : 2500ms);
    other.run("COMMIT");
  });
}

TEST_CASE("through pgbouncer in transaction mode, which is stopped and started as well") {
  postgres_server server;
  temp_dir dir;
  auto port = free_port();
  std::ofstream{dir.path("users")} << "\"phi\" \"\"\n";
  std::ofstream{dir.path("pgbouncer.ini")}
    << "[databases]\npostgres = host=127.0.0.1 port=" << server.port()
    << " user=phi\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port
    << "\nauth_type = any\nunix_socket_dir =\npool_mode = transaction\nauth_file = "
    << dir.path("users") << "\npidfile = " << dir.path("pid") << "\nlogfile = " << dir.path("log")
    << "\nserver_login_retry = 1\n"
    // Every transaction in another session.
    << "server_round_robin = 1\nmin_pool_size = 4\n";
  ::chmod(dir.path().c_str(), 0777);
  auto start = [&] {
    auto command = std::string{::geteuid() == 0 ? "/usr/sbin/runuser -u postgres -- " : ""}
                   + "/usr/sbin/pgbouncer -q -d " + dir.path("pgbouncer.ini");
    REQUIRE(run_program({"/bin/sh", "-c", command}).code == 0);
    REQUIRE(eventually([&] { return http_client{port}.connected(); }));
    REQUIRE(eventually([&] { return !read_file(dir.path("pid")).empty(); }));
  };
  auto stop = [&] {
    auto pid = std::stoi(read_file(dir.path("pid")));
    ::kill(pid, SIGTERM);
    CHECK(eventually([&] { return ::kill(pid, 0) != 0; }));
  };
  start();
  drill("pgbouncer restarted", server,
        "postgresql://phi@127.0.0.1:" + std::to_string(port) + "/postgres", [&](int) {
          stop();
          std::this_thread::sleep_for(50ms);
          start();
        });
  stop();
}

TEST_CASE("the primary dies and the standby is promoted: a URL with both hosts") {
  auto a = std::make_unique<postgres_server>("wal_level = replica\nmax_wal_senders = 5\n");
  // Synchronous from the first standby on: what was acknowledged is on both.
  auto b = std::make_unique<postgres_server>(*a, free_port());
  auto sync = [](postgres_server& primary) {
    primary.set("synchronous_standby_names = '*'");
    REQUIRE(eventually([&] {
      return primary.number("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
             == 1;
    }));
  };
  sync(*a);
  auto url = "postgresql://phi@127.0.0.1:" + std::to_string(a->port())
             + ",127.0.0.1:" + std::to_string(b->port()) + "/postgres";
  temp_dir dir;
  service_process service{dir.path(), on_postgres(url)};
  load clients{service.port(), "load", 4};
  for (int i = 0; i < repetitions; ++i) {
    auto before = clients.acknowledged_so_far();
    CHECK(eventually([&] { return clients.acknowledged_so_far() > before + 20; }));
    a->stop("immediate");
    b->set("synchronous_standby_names = ''");
    b->promote();
    auto port = a->port();
    std::swap(a, b);
    b = std::make_unique<postgres_server>(*a, port);
    sync(*a);
  }
  auto seen = clients.finish();
  drain_and_stop(service);
  say("failed over", seen);
  CHECK(seen.resets_after_send == 0);
  check_exactly_once(*a, seen);
}

TEST_CASE("killed before, in and after COMMIT, and while it replays; started again each time") {
  REQUIRE(has_faults());
  for (std::string where : {"store.begin", "store.before_commit", "store.after_commit",
                            "spool.appended", "spool.replay", "spool.committed"}) {
    CAPTURE(where);
    postgres_server server;
    temp_dir dir;
    load_result all;
    for (int i = 0; i < repetitions; ++i) {
      bool at_spool = where.starts_with("spool");
      auto pass = where == "spool.appended" ? 1 + i % 4 : at_spool ? 1 : 1 + 3 * i;
      auto fault = where + "=kill@" + std::to_string(pass);
      if (at_spool)
        server.stop("immediate");
      service_process service{dir.path(), on_postgres(server.url(), {{"PHI_FAULTS", fault}})};
      load clients{service.port(), "load", 4, 1, std::to_string(i) + "-"};
      if (at_spool) {
        eventually([&] { return clients.acknowledged_so_far() > 20 || !service.running(); });
        server.start();
      }
      CHECK(eventually([&] { return !service.running(); }));
      auto seen = clients.finish();
      service.wait();
      all.acknowledged.merge(seen.acknowledged);
      all.spooled += seen.spooled;
      if (at_spool) { // or the next one would be killed by what this one left
        service_process between{dir.path(), on_postgres(server.url())};
        drain_and_stop(between);
      }
    }
    service_process service{dir.path(), on_postgres(server.url())};
    drain_and_stop(service);
    say("killed at " + where, all);
    check_exactly_once(server, all);
  }
}

TEST_CASE("killed at any moment under load") {
  postgres_server server;
  temp_dir dir;
  load_result all;
  for (int i = 0; i < repetitions; ++i) {
    service_process service{dir.path(), on_postgres(server.url())};
    // Ids of its own in every round: what one round loses no other brings.
    load clients{service.port(), "load", 4, 1, std::to_string(i) + "-"};
    CHECK(eventually([&] { return clients.acknowledged_so_far() > 5; }));
    std::this_thread::sleep_for(std::chrono::milliseconds{7 * i});
    service.kill();
    auto seen = clients.finish();
    all.acknowledged.merge(seen.acknowledged);
  }
  service_process service{dir.path(), on_postgres(server.url())};
  drain_and_stop(service);
  check_exactly_once(server, all);
}

TEST_CASE("started and stopped while PostgreSQL is away: in budget, everything in the spool") {
  postgres_server server;
  server.stop();
  temp_dir dir;
  load_result seen;
  {
    service_process service{dir.path(), on_postgres(server.url())};
    CHECK(get(service.port(), "/health/ready").status == 200);
    load clients{service.port(), "load", 4};
    CHECK(eventually([&] { return clients.acknowledged_so_far() > 100; }));
    service.signal(SIGTERM);
    auto end = service.wait();
    seen = clients.finish();
    CHECK(end.code == 0);
    CHECK(end.took < 3s);
    CHECK(service.logged("keeps events for the next start"));
    CHECK(service.last_exit().find("\"left\": 0") == std::string::npos);
  }
  server.start();
  service_process service{dir.path(), on_postgres(server.url())};
  CHECK(service.logged("finds events that wait for the database"));
  drain_and_stop(service);
  check_exactly_once(server, seen);
}

TEST_CASE("stopped while the network to PostgreSQL is cut: in budget, nothing is lost") {
  postgres_server server;
  tcp_proxy network{server.port()};
  temp_dir dir;
  load_result seen;
  {
    service_process service{dir.path(), on_postgres(postgres_server::url(network.port()))};
    load clients{service.port(), "load", 4};
    CHECK(eventually([&] { return clients.acknowledged_so_far() > 20; }));
    network.cut();
    CHECK(eventually([&] { return spooled(service) > 20; }));
    auto end = service.stop();
    seen = clients.finish();
    CHECK(end.code == 0);
    CHECK(end.took < 6s); // the commit that is cut off may take 2 s, a connection 2 s
  }
  network.heal();
  service_process service{dir.path(), on_postgres(server.url())};
  drain_and_stop(service);
  check_exactly_once(server, seen);
}

TEST_CASE("the spool is full: refused, nothing that was acknowledged is lost") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          on_postgres(server.url(), {{"APP_SPOOL_MAX_BYTES", "1048576"}})};
  server.stop();
  load clients{service.port(), "load", 4, 100};
  CHECK(eventually([&] { return gauge(get(service.port(), "/health").body, "rejected") > 300; }));
  std::string lines; // as one of the clients' fitted no more, many times as much cannot
  for (int i = 0; i < 5000; ++i)
    lines += one_event + "\n";
  auto answer = post(service.port(), "/api/v1/events", lines, "application/x-ndjson");
  CHECK(answer.status == 503);
  CHECK(answer.body.find("spool_full") != std::string::npos);
  server.start();
  auto before = clients.acknowledged_so_far();
  CHECK(eventually([&] { return clients.acknowledged_so_far() > before + 1000; }));
  auto seen = clients.finish();
  CHECK(seen.refused.size() > 300);
  drain_and_stop(service);
  say("spool full", seen);
  check_exactly_once(server, seen);
}

TEST_CASE("the spool gets empty under more load than PostgreSQL takes"
          * doctest::skip(!has_faults())) {
  postgres_server server;
  temp_dir dir;
  // A commit takes so long that live events which wait behind a replay are late each time.
  service_process service{
    dir.path(), without_own(server.url(), {{"APP_SPOOL_AFTER_MS", "250"},
                                           {"PHI_FAULTS", "store.commit=block:150@1*1000000"}})};
  server.stop();
  std::string lines;
  for (int i = 0; i < 2000; ++i)
    lines += one_event + "\n";
  for (int i = 0; i < 10; ++i)
    CHECK(post(service.port(), "/api/v1/events", lines, "application/x-ndjson").status == 202);
  load clients{service.port(), "load", 8, 100};
  server.start();
  CHECK(eventually([&] { return spooled(service) == 0; }, 90s));
  auto seen = clients.finish();
  drain_and_stop(service);
  say("more load than it takes", seen);
  CHECK(seen.refused.empty());
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 20'000);
  check_exactly_once(server, seen);
}

TEST_CASE("the disk of the spool is full: refused, nothing that was acknowledged is lost"
          * doctest::skip(may_not_mount())) {
  postgres_server server;
  temp_dir dir;
  small_disk disk{dir.path("disk"), "256m"};
  service_process service{
    dir.path(), on_postgres(server.url(), {{"APP_SPOOL_PATH", dir.path("disk/spool.db")}})};
  // Few events: the spool takes them faster than a busy database drains it afterwards.
  load clients{service.port(), "load", 2, 4};
  for (int i = 0; i < repetitions; ++i) {
    disk.fill();
    server.stop("fast");
    auto rejected = gauge(get(service.port(), "/health").body, "rejected");
    CHECK(eventually(
      [&] { return gauge(get(service.port(), "/health").body, "rejected") > rejected; }));
    disk.clear();
    auto before = spooled(service);
    CHECK(eventually([&] { return spooled(service) > before; }));
    server.start();
    CHECK(eventually([&] { return answers_committed(service); }));
  }
  auto seen = clients.finish();
  drain_and_stop(service);
  say("disk of the spool full", seen);
  check_exactly_once(server, seen);
}

TEST_CASE("the disk of PostgreSQL is full: events go to the spool"
          * doctest::skip(may_not_mount())) {
  temp_dir dir;
  small_disk disk{dir.path("disk"), "300m"};
  ::chmod(dir.path().c_str(), 0755);
  postgres_server server{"max_wal_size = 48MB\nmin_wal_size = 32MB\n", dir.path("disk")};
  drill("disk of PostgreSQL full", server, server.url(), [&](int) {
    disk.fill();
    std::this_thread::sleep_for(400ms);
    disk.clear();
    if (!answers(server) && !eventually([&] { return answers(server); }, 2s))
      server.start(); // it has ended in the middle of its log
  });
}

TEST_CASE("a damaged spool is set aside, and what can be read of it is replayed") {
  postgres_server server;
  temp_dir dir;
  load_result seen;
  {
    service_process service{dir.path(), without_own(server.url())};
    server.stop();
    load clients{service.port(), "load", 4, 50};
    CHECK(eventually([&] { return clients.acknowledged_so_far() > 5000; }));
    seen = clients.finish();
    CHECK(service.stop().code == 0);
  }
  auto file = dir.path("spool.db");
  auto size = std::filesystem::file_size(file);
  damage(file);
  server.start();
  service_process service{dir.path(), without_own(server.url())};
  CHECK(eventually([&] { return spooled(service) == 0; }));
  drain_and_stop(service);
  size_t found = 0;
  auto stored = stored_actions(server.asked(), "load");
  for (const auto& id : seen.acknowledged)
    found += stored.contains(id);
  MESSAGE("two pages of " << size / 4096 << " damaged: " << found << " of "
                          << seen.acknowledged.size() << " events saved");
  CHECK(service.logged("was damaged"));
  CHECK(found < seen.acknowledged.size()); // else nothing was damaged
  CHECK(found + lost_from_spool(service) == seen.acknowledged.size());
  CHECK(found > seen.acknowledged.size() / 2);
  CHECK(server.count_mismatch() == "");
}

TEST_CASE(
  "killed at any step of a repair of the spool: the next start ends it, nothing more is lost") {
  REQUIRE(has_faults());
  auto nowhere = "postgresql://phi@127.0.0.1:" + std::to_string(free_port()) + "/phi";
  temp_dir base;
  constexpr size_t batches = 40;
  constexpr size_t events_each = 200;
  {
    service_process service{base.path(), without_own(nowhere)};
    std::string body = one_event;
    for (size_t i = 1; i < events_each; ++i)
      body += "," + one_event;
    for (size_t i = 0; i < batches; ++i)
      REQUIRE(post(service.port(), "/api/v1/events", "[" + body + "]").status == 202);
    CHECK(service.stop().code == 0);
  }
  damage(base.path("spool.db"));
  size_t saved = 0;
  for (std::string where : {"", "row", "copied", "ready", "log_moved", "moved", "done"}) {
    CAPTURE(where);
    temp_dir dir;
    for (const char* name : {"spool.db", "spool.db.index"})
      std::filesystem::copy_file(base.path(name), dir.path(name));
    if (!where.empty()) {
      auto fault = "spool.repair." + where + "=kill" + (where == "row" ? "@3" : "");
      service_process killed{dir.path(), without_own(nowhere, {{"PHI_FAULTS", fault}}), false};
      CHECK(killed.wait().signal == SIGKILL);
    }
    service_process service{dir.path(), without_own(nowhere)};
    auto lost = lost_from_spool(service);
    CHECK(service.stop().code == 0);
    auto left =
      static_cast<size_t>(ask_database(dir.path("spool.db"), "SELECT sum(events) FROM batch"));
    CHECK(left + lost == batches * events_each);
    if (where.empty())
      saved = left;
    CHECK(left == saved);
    CHECK(saved >= batches * events_each / 2);
    CHECK(saved < batches * events_each);
    size_t kept = 0;
    for (const auto& entry : std::filesystem::directory_iterator{dir.path()})
      kept += entry.path().filename().string().starts_with("spool.db.damaged-");
    CHECK(kept >= 1);
  }
}
