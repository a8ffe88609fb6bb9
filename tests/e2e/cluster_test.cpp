// Several instances on one PostgreSQL, what an operator sees and does of them, migrations,
// retention, and the spool's commands.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/postgres_drill.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

json instances(const temp_dir& dir) {
  auto out = ctl(dir, {"--json", "cluster", "list"});
  return out.code == 0 ? json::parse(out.out)["instances"] : json::array();
}

std::string state_of(const temp_dir& dir, const std::string& name) {
  for (const auto& one : instances(dir))
    if (one["instance"] == name)
      return one["state"];
  return "unknown";
}

settings instance(const postgres_server& server, const std::string& name, settings more = {}) {
  more["APP_SERVER_INSTANCE"] = name;
  return on_postgres(server.url(), std::move(more));
}

/// A client that goes to the next instance when one does not take its connection, as a load
/// balancer does.
class balanced_clients {
public:
  balanced_clients(std::vector<uint16_t> ports, int clients) : ports_(std::move(ports)) {
    for (int i = 0; i < clients; ++i)
      threads_.emplace_back([this, i] { run(i); });
  }
  ~balanced_clients() { finish(); }
  load_result finish() {
    stop_ = true;
    for (auto& thread : threads_)
      if (thread.joinable())
        thread.join();
    return result_;
  }

private:
  void run(int client) {
    load_result mine;
    auto at = static_cast<size_t>(client);
    std::unique_ptr<http_client> connection;
    for (uint64_t number = 0; !stop_; ++number) {
      while (!connection || !connection->connected())
        connection = std::make_unique<http_client>(ports_[++at % ports_.size()]);
      auto id = "b" + std::to_string(client) + "-" + std::to_string(number);
      auto answer = connection->post("/api/v1/events", R"({"feature":"load","id":")" + id
                                                         + R"(","action":")" + id + R"("})");
      ++mine.requests;
      if (answer.status == 200 || answer.status == 202)
        mine.acknowledged.insert(id);
      else if (answer.status == 0)
        ++mine.resets_after_send;
      else
        ++mine.other_answers;
      if (answer.status == 0 || answer.closes() || number % 50 == 0)
        connection.reset();
    }
    std::lock_guard lock{guard_};
    result_.acknowledged.merge(mine.acknowledged);
    result_.requests += mine.requests;
    result_.resets_after_send += mine.resets_after_send;
    result_.other_answers += mine.other_answers;
  }

  std::vector<uint16_t> ports_;
  std::atomic<bool> stop_{false};
  std::mutex guard_;
  load_result result_;
  std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE(
  "instances see each other; drain and undrain reach the one that is meant; one maintains") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a")};
  auto b = std::make_unique<service_process>(b_dir.path(), instance(server, "b"));
  CHECK(post(b->port(), "/api/v1/events", one_event).status == 200);
  CHECK(eventually([&] { return state_of(a_dir, "b") == "ready"; }));
  CHECK(eventually([&] { return state_of(b_dir, "a") == "ready"; }));
  auto list = get(a.port(), "/api/v1/cluster");
  CHECK(list.status == 200);
  int maintain = 0;
  auto listed = json::parse(list.body);
  for (const auto& one : listed["instances"]) {
    maintain += one["maintains"].get<bool>();
    CHECK(one["self"] == (one["instance"] == "a"));
  }
  CHECK(maintain == 1);
  CHECK(eventually([&] {
    for (const auto& one : instances(a_dir))
      if (one["instance"] == "b" && one["lastCommitAt"].is_string())
        return true;
    return false;
  }));

  CHECK(has(ctl(a_dir, {"cluster", "drain", "b"}).out, "b is asked"));
  CHECK(b->wait_for_log("is lame duck"));
  CHECK(get(b->port(), "/health/ready").status == 503);
  CHECK(get(a.port(), "/health/ready").status == 200);
  CHECK(eventually([&] { return state_of(a_dir, "b") == "lame_duck"; }));
  CHECK(ctl(a_dir, {"cluster", "undrain", "b"}).code == 0);
  CHECK(eventually([&] { return get(b->port(), "/health/ready").status == 200; }));

  auto nobody = ctl(a_dir, {"cluster", "drain", "c"});
  CHECK(nobody.code == 1);
  CHECK(has(nobody.err, "no instance c"));
  CHECK(ctl(a_dir, {"cluster", "forget", "b"}).code == 1); // it is up
  b->kill();
  CHECK(eventually([&] { return state_of(a_dir, "b") == "silent"; }));
  CHECK(ctl(a_dir, {"cluster", "forget", "b"}).code == 0);
  CHECK(state_of(a_dir, "b") == "unknown");
  CHECK(a.stop().code == 0);
  CHECK(server.ask("SELECT state FROM instance WHERE name = 'a'") == "stopped");
}

TEST_CASE("three instances, a rolling restart under load: never two down, nothing failed, lost or "
          "twice") {
  postgres_server server;
  temp_dir dirs[3];
  uint16_t ports[3];
  std::vector<std::unique_ptr<service_process>> services;
  std::vector<settings> with;
  for (int i = 0; i < 3; ++i) {
    ports[i] = free_port();
    with.push_back(
      instance(server, "i" + std::to_string(i), {{"APP_SERVER_PORT", std::to_string(ports[i])}}));
    services.push_back(std::make_unique<service_process>(dirs[i].path(), with[i]));
  }
  for (int i = 0; i < 3; ++i)
    REQUIRE(eventually([&] { return state_of(dirs[0], "i" + std::to_string(i)) == "ready"; }));
  balanced_clients clients{{ports[0], ports[1], ports[2]}, 6};
  // The three begin at once; the turn lets one after the other. The command asks the test to
  // restart its instance, and waits for it.
  std::vector<std::thread> operators;
  std::atomic<int> failed{0};
  std::atomic<int> down{0};
  std::atomic<int> most_down{0};
  for (int i = 0; i < 3; ++i)
    operators.emplace_back([&, i] {
      auto wanted = dirs[i].path("restart-wanted");
      auto done = dirs[i].path("restart-done");
      std::thread restarter{[&] {
        if (!eventually([&] { return std::filesystem::exists(wanted); }, 120s))
          return;
        most_down = std::max(most_down.load(), ++down);
        failed += services[i]->stop().code != 0;
        services[i] = std::make_unique<service_process>(dirs[i].path(), with[i]);
        --down;
        std::ofstream{done} << "";
      }};
      auto ended =
        ctl(dirs[i], {"--timeout", "120", "cluster", "turn", "--", "/bin/sh", "-c",
                      "touch " + wanted + "; while ! [ -e " + done + " ]; do sleep 0.05; done"});
      failed += ended.code != 0;
      restarter.join();
    });
  for (auto& one : operators)
    one.join();
  auto seen = clients.finish();
  for (auto& service : services)
    drain_and_stop(*service);
  MESSAGE("rolling restart of three: " << seen.requests << " requests, " << seen.acknowledged.size()
                                       << " acknowledged, " << seen.other_answers
                                       << " answered otherwise, " << seen.resets_after_send
                                       << " without an answer");
  CHECK(failed == 0);
  CHECK(most_down == 1);
  CHECK(seen.other_answers == 0);
  CHECK(seen.resets_after_send == 0);
  check_exactly_once(server, seen);
}

TEST_CASE("the turn: refused while another has it or is down, kept when the command fails") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a")};
  service_process b{b_dir.path(), instance(server, "b")};
  REQUIRE(eventually([&] { return state_of(a_dir, "b") == "ready"; }));
  auto failed = ctl(a_dir, {"cluster", "turn", "--", "/bin/false"});
  CHECK(failed.code == 1);
  CHECK(has(failed.err, "the turn is kept"));
  auto refused = ctl(b_dir, {"--timeout", "0.5", "cluster", "turn", "--", "/bin/true"});
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "a has the turn"));
  CHECK(ctl(a_dir, {"cluster", "turn", "--give-back"}).code == 0);
  CHECK(ctl(b_dir, {"cluster", "turn", "--", "/bin/true"}).code == 0);
  CHECK(ctl(a_dir, {"cluster", "drain", "b"}).code == 0);
  REQUIRE(eventually([&] { return state_of(a_dir, "b") == "lame_duck"; }));
  auto down = ctl(a_dir, {"--timeout", "0.5", "cluster", "turn", "--", "/bin/true"});
  CHECK(down.code == 1);
  CHECK(has(down.err, "b is lame_duck"));
  CHECK(ctl(a_dir, {"cluster", "turn"}).code == 2);
}

TEST_CASE(
  "--migrate --plan shows what is to be done, --migrate does it; a schema that is too new is "
  "refused, one that is a little newer is not") {
  postgres_server server;
  settings env = on_postgres(server.url());
  auto plan = run_program({binary(), "--migrate", "--plan"}, env);
  CHECK(plan.code == 0);
  CHECK(has(plan.out, "schema 1: tables"));
  CHECK(server.ask("SELECT to_regclass('event') IS NULL") == "t"); // nothing was done
  CHECK(run_program({binary(), "--migrate"}, env).code == 0);
  CHECK(has(run_program({binary(), "--migrate", "--plan"}, env).out, "nothing to do"));
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 1);
  // The next version's schema, on which this one still runs: as in a rolling upgrade.
  server.ask("INSERT INTO phi_schema(version, oldest_program) VALUES (2, 1)");
  {
    temp_dir dir;
    service_process service{dir.path(), env};
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 200);
    CHECK(service.stop().code == 0);
  }
  server.ask("INSERT INTO phi_schema(version, oldest_program) VALUES (3, 2)");
  auto refused = run_program({binary(), "--migrate"}, env);
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "newer version"));
  temp_dir dir;
  settings without_spool = on_postgres(server.url(), {{"APP_SPOOL_ENABLED", "false"}});
  service_process service{dir.path(), without_spool, false};
  CHECK(service.wait().code == 1);
  CHECK(service.logged("newer version"));
  CHECK(run_program({binary(), "--migrate"}, {}).code == 2); // no PostgreSQL in the configuration
  // With a spool it takes events, and writes none of them into what it does not know.
  service_process spooling{dir.path(), env};
  for (int i = 0; i < 5; ++i)
    CHECK(post(spooling.port(), "/api/v1/events", one_event).status == 202);
  CHECK(eventually([&] { return spooling.logged("newer version"); }));
  std::this_thread::sleep_for(1s);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 1);
  CHECK(server.number("SELECT count(*) FROM instance") == 1); // the run before
  server.ask("DELETE FROM phi_schema WHERE version = 3");
  CHECK(ctl(dir, {"spool", "replay"}).code == 0);
  drain_and_stop(spooling);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 6);
}

TEST_CASE("several instances that start at once make the schema once") {
  postgres_server server;
  temp_dir dirs[4];
  std::vector<std::unique_ptr<service_process>> services;
  for (int i = 0; i < 4; ++i)
    services.push_back(std::make_unique<service_process>(
      dirs[i].path(), instance(server, "i" + std::to_string(i)), false));
  int made = 0;
  for (auto& service : services) {
    CHECK(service->wait_for_log("supervisor is ready"));
    made += service->logged("creates the schema");
    CHECK(service->stop().code == 0);
  }
  CHECK(made == 1);
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 1);
}

TEST_CASE("tail -f shows in order what another instance commits late, and does not wait for ever") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          instance(server, "a", {{"APP_STATS_TRACK_REQUESTS", "false"}})};
  auto send = [&](const std::string& action) {
    CHECK(ctl(dir, {"send", "--feature", "f", "--action", action}).code == 0);
  };
  send("first");
  program_result followed;
  std::thread follower{[&] {
    followed = shell("timeout 15 " + phictl() + " --json --socket " + dir.path("admin.sock")
                     + " tail -f -n 1");
  }};
  std::this_thread::sleep_for(500ms);
  // As another instance that takes its numbers and commits after us, or never.
  const std::string insert =
    "INSERT INTO event(time_us, identity, feature, action) VALUES (1, gen_random_uuid(), 'f', '";
  postgres_session other{server.url()};
  other.run("BEGIN");
  other.run(insert + "late')");
  send("early");
  std::this_thread::sleep_for(700ms);
  other.run("COMMIT");
  other.run("BEGIN");
  other.run(insert + "never')");
  other.run("ROLLBACK");
  send("last");
  follower.join();
  INFO(followed.out);
  size_t at = 0;
  for (auto action : {"first", "late", "early", "last"}) {
    auto found = followed.out.find("\"" + std::string{action} + "\"", at);
    REQUIRE(found != std::string::npos);
    at = found + 1;
  }
  CHECK(std::count(followed.out.begin(), followed.out.end(), '\n') == 4);
}

TEST_CASE("what is too old is dropped by the day, its counts stay; partitions are made ahead") {
  postgres_server server;
  temp_dir dir;
  {
    service_process service{dir.path(), instance(server, "a")};
    for (int i = 0; i < 3; ++i)
      CHECK(
        post(service.port(), "/api/v1/events",
             R"({"feature":"old","time":"2026-01-0)" + std::to_string(i + 1) + R"(T12:00:00Z"})")
          .status
        == 200);
    CHECK(service.stop().code == 0);
  }
  // A partition of an old day, as it would be there after months.
  server.ask("CREATE TABLE event_20260102 (LIKE event INCLUDING ALL)");
  server.ask("WITH gone AS (DELETE FROM event_other WHERE feature = 'old' AND time_us >="
             " 1767312000000000 AND time_us < 1767398400000000 RETURNING *)"
             " INSERT INTO event_20260102 OVERRIDING SYSTEM VALUE SELECT * FROM gone");
  server.ask("ALTER TABLE event_20260102 ALTER seq DROP IDENTITY");
  server.ask("ALTER TABLE event ATTACH PARTITION event_20260102 FOR VALUES FROM (1767312000000000)"
             " TO (1767398400000000)");
  service_process service{dir.path(),
                          instance(server, "a", {{"APP_STATS_RETENTION_HOT_DAYS", "30"}})};
  CHECK(service.wait_for_log("dropped the rows of 2026-01-02"));
  CHECK(eventually(
    [&] { return server.number("SELECT count(*) FROM event WHERE feature = 'old'") == 0; }));
  CHECK(eventually(
    [&] { return server.number("SELECT count(*) FROM identity WHERE day < 20500") == 0; }));
  CHECK(get(service.port(), "/api/v1/stats/summary?feature=old").body.find("\"eventsTotal\":3")
        != std::string::npos);
  auto verified = ctl(dir, {"verify"});
  INFO(verified.out);
  CHECK(verified.code == 0);
  CHECK(server.number("SELECT count(*) FROM pg_class WHERE relname ~ '^event_[0-9]{8}$'") == 9);
}

TEST_CASE("roll-ups that do not say what the rows say are made again") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), instance(server, "a")};
  {
    load clients{service.port(), "load", 2, 10};
    CHECK(eventually([&] { return clients.acknowledged_so_far() > 300; }));
  }
  CHECK(service.stop().code == 0);
  const std::string latencies = "SELECT string_agg(bucket || ':' || n, ',' ORDER BY bucket) FROM "
                                "(SELECT bucket, sum(n) AS n FROM"
                                " rollup_latency GROUP BY bucket) AS sums";
  const std::string users = "SELECT string_agg(user_hash || slots_low || '/' || slots_high, ','"
                            " ORDER BY user_hash) FROM rollup_user";
  auto before = server.ask(latencies) + server.ask(users);
  server.ask("UPDATE rollup_count SET n = n + 1");
  server.ask("DELETE FROM rollup_latency");
  server.ask("DELETE FROM rollup_user");
  CHECK(server.rollup_mismatch() != "");
  service_process again{dir.path(), instance(server, "a", {{"APP_STATS_TRACK_REQUESTS", "false"}})};
  CHECK(again.wait_for_log("again", 60s));
  CHECK(eventually([&] { return server.rollup_mismatch().empty(); }));
  CHECK(server.ask(latencies) + server.ask(users) == before);
  CHECK(again.stop().code == 0);
}

TEST_CASE("phictl spool show, fsck, replay") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url())};
  CHECK(has(ctl(dir, {"spool", "show"}).out, "0 events in 0 batches"));
  auto healthy = ctl(dir, {"doctor"});
  INFO(healthy.out, healthy.err);
  CHECK(healthy.code == 0);
  server.stop();
  for (int i = 0; i < 5; ++i)
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 202);
  auto shown = ctl(dir, {"spool", "show"});
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "the oldest since 20"));
  CHECK(json::parse(ctl(dir, {"spool", "show", "--json"}).out)["events"] >= 5);
  CHECK(has(ctl(dir, {"spool", "fsck"}).out, "sound"));
  CHECK(eventually([&] { return ctl(dir, {"doctor"}).code == 1; }));
  CHECK(has(ctl(dir, {"doctor"}).out, "PostgreSQL does not answer"));
  auto away = ctl(dir, {"--timeout", "1", "spool", "replay"});
  CHECK(away.code == 4);
  CHECK(has(away.out, "still wait"));
  server.start();
  auto replayed = ctl(dir, {"spool", "replay"});
  CHECK(replayed.code == 0);
  CHECK(has(replayed.out, "the spool is empty"));
  CHECK(service.stop().code == 0);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") == 5);
  CHECK(ctl(dir, {"spool", "show"}).code == 3);
  temp_dir alone;
  service_process sqlite{alone.path()};
  auto none = ctl(alone, {"spool", "show"});
  CHECK(none.code == 1);
  CHECK(has(none.err, "there is no spool"));
  CHECK(has(ctl(alone, {"cluster", "list"}).out, "this one"));
  CHECK(has(ctl(alone, {"cluster", "drain", "x"}).err, "this instance is alone"));
}

TEST_CASE("three instances that are sent the same ids at once store each once") {
  postgres_server server;
  temp_dir dirs[3];
  std::vector<std::unique_ptr<service_process>> services;
  std::vector<std::unique_ptr<load>> clients;
  for (int i = 0; i < 3; ++i)
    services.push_back(std::make_unique<service_process>(
      dirs[i].path(),
      on_postgres(server.url(), {{"APP_SERVER_INSTANCE", "i" + std::to_string(i)}})));
  CHECK(server.number("SELECT count(*) FROM phi_schema") == 1);
  for (auto& service : services)
    clients.push_back(std::make_unique<load>(service->port(), "load", 2));
  std::this_thread::sleep_for(1500ms);
  load_result all;
  uint64_t answered = 0;
  for (auto& one : clients) {
    auto seen = one->finish();
    answered += seen.acknowledged.size();
    all.acknowledged.merge(seen.acknowledged);
    all.refused.merge(seen.refused);
  }
  for (auto& service : services)
    drain_and_stop(*service);
  MESSAGE("three instances: " << answered << " acknowledged, " << all.acknowledged.size()
                              << " different ids");
  CHECK(answered > all.acknowledged.size());
  check_exactly_once(server, all);
}

TEST_CASE("a batch that the database never takes is set aside, and the rest goes on") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url())};
  // A check of somebody's own that fails as a wrong value does.
  server.ask("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF NEW.action = 'poison' THEN RAISE EXCEPTION USING ERRCODE = '22000'; END IF;"
             " RETURN NEW; END $$");
  server.ask("CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()");
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"f","action":"poison"})").status
        == 202);
  CHECK(service.wait_for_log("sets a batch aside"));
  CHECK(
    eventually([&] { return post(service.port(), "/api/v1/events", one_event).status == 200; }));
  CHECK(service.stop().code == 0);
  CHECK(server.number("SELECT count(*) FROM event WHERE feature = 'f'") >= 1);
}

TEST_CASE("without a spool: 503 while PostgreSQL is away, then 200 again; no start without it") {
  postgres_server server;
  temp_dir dir;
  auto with = on_postgres(server.url(), {{"APP_SPOOL_ENABLED", "false"}});
  service_process service{dir.path(), with};
  load clients{service.port(), "load", 4};
  for (int i = 0; i < 3; ++i) {
    CHECK(eventually([&] { return answers_committed(service); }));
    server.stop("immediate");
    CHECK(post(service.port(), "/api/v1/events", one_event).status == 503);
    server.start();
  }
  CHECK(eventually([&] { return answers_committed(service); }));
  auto seen = clients.finish();
  CHECK(seen.spooled == 0);
  CHECK(service.stop().code == 0);
  check_exactly_once(server, seen);
  server.stop();
  service_process without{dir.path(), with, false};
  CHECK(without.wait().code == 1);
  CHECK(without.logged("refused"));
}
