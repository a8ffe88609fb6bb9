// What PostgreSQL's answers are worth: a commit that its standby has not, a standing instance that
// holds locks, wrong clocks, refused events, databases that do not fit.

#include "tests/support/doctest.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/postgres_drill.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <fstream>
#include <memory>
#include <random>
#include <unistd.h>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

/// On a machine that has other things to do a commit takes its time.
settings patient(settings more = {}) {
  more["APP_SPOOL_AFTER_MS"] = "5000";
  return more;
}

/// Posts `n` events of feature f, each with an id of its own; how many were committed.
int send(const service_process& service, const std::string& prefix, int n) {
  int committed = 0;
  for (int i = 0; i < n; ++i) {
    auto answer = post(service.port(), "/api/v1/events",
                       R"({"feature":"f","id":")" + prefix + std::to_string(i) + R"("})");
    CHECK((answer.status == 200 || answer.status == 202));
    committed += answer.status == 200;
  }
  return committed;
}

const std::string stored_f = "SELECT count(*) FROM event WHERE feature = 'f'";

/// Many events in one request, of which those at `bad` have the action "poison".
std::string many(int n, const std::vector<int>& bad = {}) {
  std::string out;
  for (int i = 0; i < n; ++i) {
    bool is_bad = std::find(bad.begin(), bad.end(), i) != bad.end();
    out += R"({"feature":"f","id":"m)" + std::to_string(i) + R"(","action":")"
           + (is_bad ? "poison" : "good") + "\"}\n";
  }
  return out;
}

http_answer post_many(const service_process& service, const std::string& lines) {
  return post(service.port(), "/api/v1/events", lines, "application/x-ndjson");
}

} // namespace

TEST_CASE("durability full is full, whatever role and database have for synchronous_commit") {
  postgres_server server{"wal_writer_delay = 10s\n"};
  server.ask("ALTER ROLE phi SET synchronous_commit = off");
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url(), patient())};
  CHECK(send(service, "a", 50) == 50);
  server.stop("immediate");
  server.start();
  CHECK(server.number(stored_f) == 50);
}

TEST_CASE("a server that takes no writes any more is left for one of the URL that does") {
  postgres_server a;
  postgres_server b;
  temp_dir dir;
  service_process service{dir.path(),
                          on_postgres("postgresql://phi@127.0.0.1:" + std::to_string(a.port())
                                        + ",127.0.0.1:" + std::to_string(b.port()) + "/postgres",
                                      patient())};
  CHECK(send(service, "a", 5) == 5);
  a.set("default_transaction_read_only = on");
  int sent = 5;
  CHECK(eventually([&] {
    send(service, "b" + std::to_string(sent++) + "-", 1);
    return b.ask("SELECT to_regclass('event') IS NOT NULL") == "t";
  }));
  CHECK(eventually([&] { return answers_committed(service); }));
  drain_and_stop(service);
  CHECK(b.number(stored_f) > 0);
  CHECK(a.number(stored_f + " AND action IS NULL") + b.number(stored_f + " AND action IS NULL")
        == sent);
}

TEST_CASE(
  "what a hung standby has not stays in the spool, also when a restart shows it committed") {
  auto a = std::make_unique<postgres_server>("wal_level = replica\nmax_wal_senders = 5\n");
  auto b = std::make_unique<postgres_server>(*a, free_port());
  a->set("synchronous_standby_names = '*'");
  REQUIRE(eventually([&] {
    return a->number("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1;
  }));
  temp_dir dir;
  // One batch and nothing else: were another committed with it, that would wait for both.
  service_process service{dir.path(),
                          on_postgres(a->url(), patient({{"APP_STATS_TRACK_REQUESTS", "false"}}))};
  CHECK(send(service, "before", 5) == 5);
  auto receiver = static_cast<pid_t>(b->number("SELECT pid FROM pg_stat_wal_receiver"));
  REQUIRE(::kill(receiver, SIGSTOP) == 0);
  CHECK(post_many(service, many(20)).status == 202);
  // The commit that was cut short is there for everybody, at the latest after a restart.
  a->stop("immediate");
  a->start();
  CHECK(eventually([&] { return answers(*a) && a->number(stored_f) > 5; }));
  // A replay sees it, and is cut short as well.
  CHECK(ctl(dir, {"--timeout", "6", "spool", "replay"}).code == 4);
  CHECK(spooled(service) == 20);
  CHECK(b->number(stored_f) == 5);
  ::kill(receiver, SIGCONT);
  CHECK(eventually([&] { return spooled(service) == 0; }, 60s));
  CHECK(b->number(stored_f) == 25);
  a->stop("immediate");
  b->set("synchronous_standby_names = ''");
  b->promote();
  CHECK(b->number(stored_f) == 25); // nothing of what was acknowledged is lost with the primary
  service.kill();
}

TEST_CASE("a COMMIT that is cut short while a standby hangs is not done: it is in the spool") {
  postgres_server primary{"wal_level = replica\nmax_wal_senders = 5\n"};
  postgres_server standby{primary, free_port()};
  primary.set("synchronous_standby_names = '*'");
  REQUIRE(eventually([&] {
    return primary.number("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
           == 1;
  }));
  temp_dir dir;
  service_process service{
    dir.path(), on_postgres(primary.url(), patient({{"APP_STATS_TRACK_REQUESTS", "false"},
                                                    {"APP_STATS_BUSY_TIMEOUT_MS", "8000"}}))};
  CHECK(send(service, "before", 5) == 5);
  auto receiver = static_cast<pid_t>(standby.number("SELECT pid FROM pg_stat_wal_receiver"));
  REQUIRE(::kill(receiver, SIGSTOP) == 0);
  http_answer answer;
  std::thread sender{[&] { answer = post_many(service, many(20)); }};
  // The server says COMMIT then, and warns that it has not waited.
  CHECK(eventually([&] {
    return primary.number("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
                          " WHERE wait_event = 'SyncRep' AND application_name LIKE 'phi-backend %'")
           > 0;
  }));
  sender.join();
  CHECK(answer.status == 202);
  CHECK(spooled(service) == 20);
  ::kill(receiver, SIGCONT);
  CHECK(eventually([&] { return spooled(service) == 0; }, 60s));
  CHECK(eventually([&] { return standby.number(stored_f) == 25; }));
  CHECK(service.stop().code == 0);
}

TEST_CASE(
  "an instance that stands still in a transaction does not jam another that gets its events") {
  REQUIRE(has_faults());
  for (std::string where : {"store.before_commit", "store.copy"}) {
    CAPTURE(where);
    postgres_server server;
    temp_dir a_dir, b_dir;
    // With the settings that hold by default.
    settings slow{{"APP_STATS_BUSY_TIMEOUT_MS", "5000"}, {"APP_SPOOL_AFTER_MS", "1000"}};
    auto a_with = slow;
    a_with["PHI_FAULTS"] = where + "=block";
    a_with["APP_STATS_TRACK_REQUESTS"] = "false";
    service_process a{a_dir.path(), instance(server, "a", a_with)};
    service_process b{b_dir.path(), instance(server, "b", slow)};
    http_client sender{a.port()};
    auto lines = many(300);
    sender.send("POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                "Content-Length: "
                + std::to_string(lines.size()) + "\r\n\r\n" + lines);
    REQUIRE(eventually([&] {
      return server.number("SELECT count(*) FROM pg_locks WHERE relation = 'event'::regclass AND"
                           " mode = 'RowExclusiveLock'")
             > 0;
    }));
    a.signal(SIGSTOP);
    auto began = std::chrono::steady_clock::now();
    CHECK(post_many(b, lines).status == 202);
    CHECK(eventually([&] { return spooled(b) == 0; }, 40s));
    CHECK(std::chrono::steady_clock::now() - began < 25s);
    CHECK(eventually([&] { return answers_committed(b); }));
    CHECK(server.number("SELECT count(*) FROM event WHERE action = 'good'") == 300);
    a.signal(SIGCONT);
    a.kill();
    drain_and_stop(b);
    CHECK(server.count_mismatch() == "");
  }
}

TEST_CASE(
  "an instance whose clock is a year ahead does not start, or is told so; nothing is dropped"
  * doctest::skip(has_sanitizer())) {
  const std::string library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
  REQUIRE(std::filesystem::exists(library)); // tools/packages test
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a", patient())};
  CHECK(send(a, "a", 10) == 10);
  const std::string days = "SELECT count(*) FROM pg_class WHERE relname ~ '^event_[0-9]{8}$'";
  auto partitions = server.number(days);
  settings ahead{{"LD_PRELOAD", library}, {"DONT_FAKE_MONOTONIC", "1"}, {"FAKETIME", "+365d"}};
  service_process b{b_dir.path(), instance(server, "b", ahead), false};
  CHECK(b.wait().code == 1);
  CHECK(b.logged("the clock of this machine says"));
  // One that drifts as clocks do is none the worse.
  ahead["FAKETIME"] = "+60s";
  service_process innocent{b_dir.path(), instance(server, "c", patient(ahead))};
  CHECK(send(innocent, "c", 5) == 5);
  CHECK(innocent.stop().code == 0);
  // And one that jumps while it runs.
  temp_dir d_dir;
  auto file = d_dir.path("clock");
  std::ofstream{file} << "+0\n";
  ahead.erase("FAKETIME");
  ahead.insert({{"FAKETIME_TIMESTAMP_FILE", file}, {"FAKETIME_NO_CACHE", "1"}});
  CHECK(a.stop().code == 0); // so that it would maintain
  service_process d{d_dir.path(), instance(server, "d", ahead)};
  REQUIRE(d.wait_for_log("takes over the maintenance"));
  std::ofstream{file} << "+365d\n";
  CHECK(d.wait_for_log("the clock of this machine says"));
  CHECK(d.stop().code == 0);
  CHECK(server.number(days) == partitions);
  CHECK(server.number(stored_f) == 15);
  CHECK(server.count_mismatch() == "");
  CHECK(server.number(stored_f + " AND identity IN (SELECT digest FROM identity)") == 15);
}

TEST_CASE("a schema that is dropped and made again is noticed by all instances") {
  postgres_server server;
  temp_dir a_dir, b_dir;
  service_process a{a_dir.path(), instance(server, "a", patient())};
  service_process b{b_dir.path(), instance(server, "b", patient())};
  CHECK(send(a, "a", 5) == 5);
  CHECK(send(b, "b", 5) == 5);
  server.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  for (auto* one : {&a, &b})
    CHECK(eventually([&] { return answers_committed(*one); }, 30s));
  CHECK(send(a, "c", 5) == 5);
  CHECK(send(b, "d", 5) == 5);
  drain_and_stop(a);
  drain_and_stop(b);
  CHECK(server.number(stored_f + " AND action IS NULL") == 10); // of send()
  CHECK(server.count_mismatch() == "");
}

TEST_CASE(
  "events that the database refuses are told by index; the others of the batch are stored") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          on_postgres(server.url(), {{"APP_STATS_MAX_TEXT_BYTES", "1024"},
                                                     {"APP_SPOOL_AFTER_MS", "5000"}})};
  server.ask("ALTER TABLE event ADD CHECK (action <> 'poison')");
  auto answer = post_many(service, many(1000, {17, 500, 999}));
  CHECK(answer.status == 200);
  auto body = json::parse(answer.body);
  INFO(answer.body);
  CHECK(body["stored"] == 997);
  CHECK(body["duplicates"] == 0);
  REQUIRE(body["rejected"].size() == 3);
  CHECK(body["rejected"][0]["index"] == 17);
  CHECK(body["rejected"][1]["index"] == 500);
  CHECK(body["rejected"][2]["index"] == 999);
  CHECK(server.number(stored_f) == 997);
  // Too large for an index of somebody's own: as many bytes as texts may have, and nothing that can
  // be compressed.
  server.ask("CREATE INDEX ON event (feature, action, route)");
  std::mt19937 random{7};
  std::string large[4];
  for (auto& text : large)
    for (int i = 0; i < 1000; ++i)
      text += static_cast<char>('a' + random() % 26);
  auto row = R"({"feature":")" + large[0] + R"(","action":")" + large[1] + R"(","route":")"
             + large[2] + R"(","method":"GET"})" + "\n";
  auto too_large = post_many(service, row + R"({"feature":"f","id":"innocent"})" + "\n");
  INFO(too_large.body);
  CHECK(too_large.status == 200);
  auto told = json::parse(too_large.body);
  CHECK(told["stored"] == 1);
  REQUIRE(told["rejected"].size() == 1);
  CHECK(told["rejected"][0]["index"] == 0);
  CHECK(has(told["rejected"][0]["message"], "index row"));
  CHECK(server.number(stored_f) == 998);
  // Out of the spool: the innocent are stored, the others kept apart.
  server.stop();
  CHECK(post_many(service, many(1003, {17, 500, 999, 1001})).status == 202);
  server.start();
  CHECK(eventually([&] { return spooled(service) == 0; }));
  INFO(service.log());
  CHECK(eventually([&] { return server.number(stored_f) == 1000; }));
  CHECK(eventually([&] { return answers_committed(service); }));
  CHECK(service.stop().code == 0);
  CHECK(server.count_mismatch() == "");
}

TEST_CASE(
  "a rule of somebody's own that forbids our trial as well: the others are stored all the same") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(),
                          on_postgres(server.url(), {{"APP_SPOOL_AFTER_MS", "5000"},
                                                     {"APP_STATS_TRACK_REQUESTS", "false"}})};
  server.ask("ALTER TABLE event ADD CHECK (feature ~ '^f')");
  auto answer = post_many(service, R"({"feature":"bad"})"
                                   "\n"
                                     + many(10, {}));
  INFO(answer.body);
  CHECK(answer.status == 200);
  auto told = json::parse(answer.body);
  CHECK(told["stored"] == 10);
  REQUIRE(told["rejected"].size() == 1);
  CHECK(told["rejected"][0]["index"] == 0);
  auto alone = post_many(service, R"({"feature":"bad"})"
                                  "\n");
  CHECK(alone.status == 400);
  CHECK(has(alone.body, "refused_by_store"));
  CHECK(answers_committed(service));
  // Out of the spool as well: the one at fault is set aside, which is said until somebody looks at
  // it, and nothing is said of the database.
  server.stop();
  CHECK(post_many(service, R"({"feature":"bad"})"
                           "\n"
                             + many(12, {}))
          .status
        == 202);
  server.start();
  CHECK(eventually([&] { return spooled(service) == 0; }));
  CHECK(eventually([&] { return answers_committed(service); }));
  json health;
  const auto set_aside = json::array({"spool: the spool is not as it should be"});
  CHECK(eventually([&] {
    health = json::parse(get(service.port(), "/health").body);
    return health["causes"] == set_aside;
  }));
  CAPTURE(health.dump());
  CHECK(health["causes"] == set_aside);
  CHECK(health["ledger"]["setAside"] == 1);
  CHECK(server.number(stored_f) == 14);
  CHECK(service.stop().code == 0);
}

TEST_CASE("a rule that somebody has deferred to COMMIT costs the event that breaks it") {
  postgres_server server;
  temp_dir dir;
  service_process service{dir.path(), on_postgres(server.url(), {{"APP_SPOOL_AFTER_MS", "5000"}})};
  CHECK(answers_committed(service));
  server.ask("CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF NEW.action = 'poison' THEN RAISE 'no poison here'; END IF; RETURN NULL; END $$;"
             " CREATE CONSTRAINT TRIGGER judge AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED"
             " FOR EACH ROW EXECUTE FUNCTION judge()");
  auto answer = post_many(service, many(20, {7}));
  INFO(answer.body);
  CHECK(answer.status == 200);
  auto told = json::parse(answer.body);
  CHECK(told["stored"] == 19);
  REQUIRE(told["rejected"].size() == 1);
  CHECK(told["rejected"][0]["index"] == 7);
  CHECK(told["rejected"][0]["code"] == "refused_by_store");
  CHECK(service.stop().code == 0);
}

TEST_CASE("a database that can never do ends the start, with what is to be done") {
  postgres_server server;
  server.ask("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  server.ask("CREATE DATABASE taken");
  postgres_session{"postgresql://phi@127.0.0.1:" + std::to_string(server.port()) + "/taken"}.run(
    "CREATE TABLE event (mine text)");
  server.ask("CREATE ROLE poor LOGIN");
  auto at = "127.0.0.1:" + std::to_string(server.port());
  struct {
    std::string url;
    std::string says;
    int code; ///< 2: the text alone is wrong, which --check sees as well
  } const cases[] = {{"postgresql://phi@" + at + "/latin", "ENCODING 'UTF8'", 1},
                     {"postgresql://phi@" + at + "/taken", "their names", 1},
                     {"postgresql://poor@" + at + "/postgres", "needs CREATE", 1},
                     {server.url() + "?schema=public", "schema", 2},
                     {"postgresql://phi:ge%heim@" + at + "/postgres", "%25", 2}};
  for (const auto& [url, says, code] : cases) {
    CAPTURE(url);
    temp_dir dir;
    service_process service{dir.path(), on_postgres(url), false};
    CHECK(service.wait().code == code);
    CHECK(run_program({binary(), "--check"}, on_postgres(url)).code == (code == 2 ? 2 : 0));
    CHECK(service.logged(says));
    CHECK_FALSE(service.logged("heim"));
  }
}
