// The way to a session of PostgreSQL, and what ends one: mute servers, several hosts, locks.

#include "config/defaults.hpp"
#include "server/store/postgres/connection.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/postgres/statements.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace phi;
using namespace phi::store;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;

std::string url_of(const std::string& hosts, const std::string& parameters = "") {
  return "postgresql://phi@" + hosts + "/postgres" + parameters;
}

std::string host_of(const postgres_server& server, const std::string& name = "127.0.0.1") {
  return name + ":" + std::to_string(server.port());
}

/// Says `why` from a time on, and notes when it was asked last.
class timed_watch : public work_watch {
public:
  explicit timed_watch(std::chrono::milliseconds after) : at(clock::now() + after) {}
  end_cause check() noexcept override {
    ++looks;
    return clock::now() >= at ? end_cause::stopping : end_cause::none;
  }
  int looks = 0;
  clock::time_point at;
};

/// The port it has come to; what went wrong is thrown.
std::string connected_to(const std::string& url, bool for_writing = true,
                         std::chrono::seconds limit = 2s) {
  postgres_connection db;
  db.connect({.url = url, .connect_timeout = limit, .for_writing = for_writing, .name = "test"});
  auto rows = db.run("SELECT inet_server_port()");
  rows.step();
  return rows.text(0);
}

std::string why_not(const std::string& url, std::chrono::seconds limit = 2s) {
  try {
    connected_to(url, true, limit);
    return {};
  } catch (const postgres_error& e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("PostgreSQL: mute hosts have the time to connect together, whatever the URL says") {
  mute_server one, two, three;
  auto hosts = one.host() + "," + two.host() + "," + three.host();
  for (std::string parameters : {"", "?connect_timeout=100"}) {
    auto began = clock::now();
    auto why = why_not(url_of(hosts, parameters), 2s);
    auto took = clock::now() - began;
    CHECK(took >= 2s);
    CHECK(took < 3s);
    std::vector<int> shares; // of each
    const std::string says = " did not answer within ";
    for (auto at = why.find(says); at != why.npos; at = why.find(says, at + 1))
      shares.push_back(std::stoi(why.substr(at + says.size())));
    INFO(why);
    REQUIRE(shares.size() == 3);
    CHECK(shares[0] >= 600);
    CHECK(shares[0] < 800);
    CHECK(shares[2] >= 500);
  }
}

TEST_CASE("PostgreSQL: a watch ends the way to a mute host at once, and sees that it gets on") {
  mute_server mute;
  timed_watch watch{300ms};
  postgres_connection db;
  db.watched_by(&watch);
  CHECK_THROWS_AS(db.connect({.url = url_of(mute.host()), .connect_timeout = 20s, .name = "test"}),
                  postgres_ended);
  CHECK(clock::now() - watch.at < 100ms);
  CHECK(watch.looks >= 8);
  CHECK_FALSE(db.is_open());
}

TEST_CASE("PostgreSQL: of several hosts the first that fits is taken: mute, dead, or no writes") {
  postgres_server server;
  postgres_server read_only{"default_transaction_read_only = on\n"};
  mute_server mute;
  auto port = std::to_string(server.port());
  auto dead = "127.0.0.1:" + std::to_string(free_port());
  CHECK(connected_to(url_of(mute.host() + "," + host_of(server))) == port);
  CHECK(connected_to(url_of(dead + "," + host_of(server))) == port);
  CHECK(connected_to(url_of(host_of(read_only) + "," + host_of(server))) == port);
  CHECK(connected_to(url_of(host_of(read_only) + "," + host_of(server)), false)
        == std::to_string(read_only.port()));
  CHECK(why_not(url_of(host_of(read_only))).find("session is read-only") != std::string::npos);
  // What the URL says of it goes before.
  auto any = url_of(host_of(read_only) + "," + host_of(server), "?target_session_attrs=any");
  CHECK(connected_to(any) == std::to_string(read_only.port()));
  auto preferred = url_of(host_of(server), "?target_session_attrs=prefer-standby");
  CHECK(connected_to(preferred) == port); // there is none
  CHECK(connected_to(url_of(host_of(server, "localhost"))) == port);
  CHECK(why_not(url_of("no-such-host.invalid")).starts_with("the address of no-such-host.invalid"));
}

TEST_CASE("PostgreSQL: a session that was ended while it was idle costs no event") {
  postgres_server server;
  auto store = make_postgres_store(
    {.url = server.url(), .instance = "one", .connect_timeout = 2s, .commit_timeout = 5s});
  REQUIRE(store->open().why() == "");
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(server.number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                          " WHERE application_name = 'phi-backend one'")
            == 1);
    std::this_thread::sleep_for(100ms);
    auto result = store->commit(*batch_of({{make_event(2 * i)}, {make_event(2 * i + 1)}}));
    INFO(result.detail);
    REQUIRE(result.error == error_code::none);
    REQUIRE(result.requests.size() == 2);
    CHECK(result.requests[0].stored == 1);
    CHECK(result.requests[1].stored == 1);
  }
  CHECK(server.number("SELECT count(*) FROM event") == 6);
  CHECK(server.count_mismatch() == "");
  // Once: a database that is away is away.
  server.stop("fast");
  CHECK(store->commit(*batch_of({{make_event(9)}})).error == error_code::store_unavailable);
}

TEST_CASE("PostgreSQL: a sign of life and a word of an operator do not wait behind a lock on the "
          "instances; nor does the leaving") {
  postgres_server server;
  auto cluster = make_postgres_cluster(
    {.url = server.url(), .instance = "one", .connect_timeout = 2s, .commit_timeout = 10s});
  REQUIRE(cluster->beat({.state = service_state::ready}));
  auto within = [](auto what) {
    auto began = clock::now();
    what();
    auto took = clock::now() - began;
    CHECK(took >= defaults::heartbeat_lock);
    CHECK(took < 2s);
  };
  {
    postgres_session other{server.url()};
    other.run("BEGIN");
    other.run("LOCK TABLE instance IN ACCESS EXCLUSIVE MODE");
    within([&] { CHECK_FALSE(cluster->beat({.state = service_state::ready})); });
    within([&] {
      CHECK(cluster->answer(steer_instance{"one", instance_wish::drain}).error
            == error_code::store_unavailable);
    });
    // A new session has to take the name.
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE application_name LIKE 'phi-backend%'");
    within([&] { CHECK_FALSE(cluster->beat({.state = service_state::ready})); });
    other.run("COMMIT");
  }
  REQUIRE(cluster->beat({.state = service_state::ready}));
  {
    postgres_session other{server.url()};
    other.run("BEGIN");
    other.run("LOCK TABLE instance IN ACCESS EXCLUSIVE MODE");
    within([&] { cluster->leave(); });
  }
  CHECK(server.ask("SELECT state FROM instance") == "ready"); // its lease ends by itself
  REQUIRE(cluster->beat({.state = service_state::ready}));
  cluster->leave();
  CHECK(server.ask("SELECT state FROM instance") == "stopped");
}

TEST_CASE("PostgreSQL: a stop lets a sign of life be done, and ends one that takes long") {
  postgres_server server;
  tcp_proxy network{server.port()};
  auto cluster = make_postgres_cluster({.url = postgres_server::url(network.port()),
                                        .instance = "one",
                                        .connect_timeout = 10s,
                                        .commit_timeout = 10s});
  auto watch = std::make_shared<timed_watch>(1h);
  cluster->watched_by(watch);
  REQUIRE(cluster->beat({.state = service_state::ready}));
  watch->at = clock::now();
  CHECK(cluster->beat({.state = service_state::stopping}));
  CHECK(server.ask("SELECT state FROM instance") == "stopping");
  network.cut();
  auto began = clock::now();
  CHECK_FALSE(cluster->beat({.state = service_state::stopping}));
  CHECK(clock::now() - began >= defaults::leave_limit);
  CHECK(clock::now() - began < defaults::leave_limit + 500ms);
  began = clock::now();
  CHECK_FALSE(
    cluster->beat({.state = service_state::stopping})); // it has to connect, to be able to leave
  CHECK(clock::now() - began < defaults::leave_limit + 500ms);
  network.heal();
  cluster->leave();
  CHECK(server.ask("SELECT state FROM instance") == "stopped");
}

TEST_CASE("PostgreSQL: a session is ended for its silence, not for a long transaction") {
  postgres_server server;
  postgres_session ours{server.url() + "?application_name=phi-backend%20one"};
  std::string end_silent = postgres_sql::end_silent_sessions;
  for (auto at = end_silent.find("$1"); at != end_silent.npos; at = end_silent.find("$1"))
    end_silent.replace(at, 2, "500");
  ours.run("BEGIN");
  for (auto end = clock::now() + 1s; clock::now() < end; std::this_thread::sleep_for(50ms)) {
    ours.run("SELECT 1");
    CHECK(server.number(end_silent) == 0);
  }
  std::this_thread::sleep_for(600ms);
  CHECK(server.number(end_silent) == 1);
  CHECK_THROWS_AS(ours.run("SELECT 1"), std::runtime_error);
  // Silent outside of a transaction it holds nothing.
  postgres_session idle{server.url() + "?application_name=phi-backend%20two"};
  idle.run("SELECT 1");
  std::this_thread::sleep_for(600ms);
  CHECK(server.number(end_silent) == 0);
}
