// ADMIN on virtual time: what becomes of each line of the admin socket, and that each is answered
// once.

#include "actors/admin.hpp"
#include "config/defaults.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/lone_actor.hpp"
#include "tests/support/recorded_console.hpp"
#include "tests/support/replies.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

using attach_function = std::function<outcome(admin_actor)>;

struct admin_fixture {
  /// Sends a line; the actor runs until nothing is ready.
  admin_request_ptr send(const std::string& line) {
    auto request = std::make_shared<admin_request>();
    request->line = line;
    request->answer = [this](std::string text) { answers.push_back(std::move(text)); };
    request->asker_gone = somebody();
    admin.tell(atom::command_v, request);
    return request;
  }
  admin_request_ptr call(const std::string& method, const std::string& params = "{}") {
    return send(R"({"jsonrpc":"2.0","id":5,"method":")" + method + R"(","params":)" + params + "}");
  }
  /// The one answer that has come since.
  json answer() {
    REQUIRE(answers.size() == 1);
    auto out = json::parse(answers.front());
    answers.clear();
    CHECK(out["jsonrpc"] == "2.0");
    return out;
  }
  json result(const std::string& method, const std::string& params = "{}") {
    call(method, params);
    auto out = answer();
    CHECK(out["id"] == 5);
    return out["result"];
  }
  /// "-32602: mode must be ..."
  std::string error() {
    auto out = answer()["error"];
    return std::to_string(out["code"].get<int>()) + ": " + out["message"].get<std::string>();
  }
  std::string error(const std::string& method, const std::string& params = "{}") {
    call(method, params);
    return error();
  }

  virtual_system on;
  std::shared_ptr<recorded_console> console = std::make_shared<recorded_console>();
  outcome attached;
  lone_actor<admin_actor> admin{on, "admin", admin_behavior, console_port_ptr{console},
                                attach_function{[this](const admin_actor&) { return attached; }}};
  std::vector<std::string> answers;
};

std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

} // namespace

TEST_CASE("admin: what is no request is told so, with the id where there is one") {
  admin_fixture at;
  at.send("{");
  auto broken = at.answer();
  CHECK(broken["error"]["code"] == -32700);
  CHECK(broken["id"].is_null());
  for (const auto* text : {"[]", "7", R"({"id":3})", R"({"jsonrpc":"1.0","method":"dump"})",
                           R"({"jsonrpc":"2.0","method":7})", R"({"method":"dump"})"}) {
    CAPTURE(text);
    at.send(text);
    CHECK(at.error() == R"(-32600: expected {"jsonrpc":"2.0","id":1,"method":"..."})");
  }
  at.send(R"({"jsonrpc":"1.0","id":"mine","method":"dump"})");
  CHECK(at.answer()["id"] == "mine");
  at.send(R"({"jsonrpc":"2.0","id":[1,null],"method":"dump","params":[1]})");
  auto listed = at.answer();
  CHECK(listed["id"] == json::parse("[1,null]"));
  CHECK(listed["error"]["message"] == "params must be an object");
  CHECK(
    at.error("dmp").starts_with(R"(-32601: method "dmp" is not one of status, stop, health, )"));
  CHECK(at.admin.heard->dumps == 0);
  at.send(R"({"jsonrpc":"2.0","method":"dump"})"); // neither id nor params are needed
  CHECK(at.answer()["id"].is_null());
  CHECK(at.admin.heard->dumps == 1);
  CHECK(at.admin.status().gauges.at(0).count == 11);
}

TEST_CASE("admin: a line may nest as deep as the bound says, and no deeper") {
  admin_fixture at;
  at.send(nested(64));
  CHECK(at.error().starts_with("-32600: "));
  at.send(nested(65));
  CHECK(at.error() == "-32700: the line nests deeper than 64 levels");
}

TEST_CASE("admin: a whole number has its bounds, however it is written") {
  admin_fixture at;
  for (const auto* good : {"1", "1000", "5.0", "1e3"}) {
    CAPTURE(good);
    at.call("events", R"({"limit":)" + std::string{good} + "}");
    CHECK(at.console->waiting.size() == 1);
    at.console->answer({.body = "{}"});
    CHECK(at.answer().contains("result"));
  }
  for (const auto* bad :
       {"0", "1001", "-1", "1.5", "1e300", "9223372036854775808", "\"1\"", "null", "true", "[1]"}) {
    CAPTURE(bad);
    CHECK(at.error("events", R"({"limit":)" + std::string{bad} + "}")
            .starts_with("-32602: limit must be a whole number from 1 to 1000, not "));
  }
  CHECK(at.console->waiting.empty());
  auto after = [&](const std::string& number) {
    at.call("events", R"({"after":)" + number + "}");
    if (at.console->waiting.empty())
      return at.error();
    at.console->answer({.body = "{}"});
    at.answers.clear();
    return std::to_string(
      *std::get<recent_events_query>(std::get<reader_query>(at.console->questions.back())).after);
  };
  CHECK(after("9223372036854775807") == "9223372036854775807");
  CHECK(after("0") == "0");
  CHECK(after("9007199254740992.0") == "9007199254740992"); // 2^53: each number before has its own
  CHECK(after("9007199254740994.0").starts_with("-32602: after must be a whole number"));
  CHECK(after("-9223372036854775808").starts_with("-32602: after must be a whole number"));
}

TEST_CASE("admin: what is given wrongly is shown, but not much of it") {
  admin_fixture at;
  CHECK(at.error("events", R"({"overGaps":1})") == "-32602: overGaps must be true or false, not 1");
  CHECK(at.error("events", R"({"feature":["a"]})")
        == R"(-32602: feature must be a text, not ["a"])");
  CHECK(at.error("trace-on", R"({"actors":["store",1]})")
        == R"(-32602: actors must be a list of texts, not ["store",1])");
  CHECK(at.error("trace-on", R"({"actors":"store"})")
        == R"(-32602: actors must be a list of texts, not "store")");
  // With its quotes 40 characters, and 41.
  std::string fits(38, 'x');
  CHECK(at.error("events", R"({"limit":")" + fits + R"("})").ends_with("not \"" + fits + "\""));
  CHECK(at.error("events", R"({"limit":")" + fits + R"(y"})").ends_with("not \"" + fits + "y..."));
  CHECK(at.console->questions.empty());
  CHECK_FALSE(at.console->tracing);
}

TEST_CASE("admin: a stop is answered first, and only a mode that there is begins one") {
  admin_fixture at;
  CHECK(at.error("stop", R"({"mode":"softly"})")
        == R"(-32602: mode "softly" is not one of lame-duck, graceful, fast, immediate)");
  CHECK(at.error("stop", R"({"mode":7})") == "-32602: mode must be a text, not 7");
  CHECK(at.admin.heard->stops.empty());
  auto said = at.result("stop");
  CHECK(said
        == json{{"accepted", true},
                {"mode", "graceful"},
                {"pid", ::getpid()},
                {"runId", "run"},
                {"stateDirectory", "/nonexistent"}});
  CHECK(at.result("stop", R"({"mode":"fast"})")["mode"] == "fast");
  CHECK(at.result("stop", R"({"mode":"immediate"})")["mode"] == "immediate");
  using row = std::pair<stop_mode, stop_reason>;
  CHECK(at.admin.heard->stops
        == std::vector<row>{{stop_mode::graceful, stop_reason::admin},
                            {stop_mode::fast, stop_reason::admin},
                            {stop_mode::immediate, stop_reason::admin}});
  CHECK(at.result("drain") == json{{"accepted", true}});
  CHECK(at.result("undrain") == json{{"accepted", true}});
  CHECK(at.admin.heard->lame_duck == std::vector<bool>{true, false});
}

TEST_CASE("admin: the status is the supervisor's, with what only the process knows") {
  admin_fixture at;
  at.admin.heard->status.state = service_state::ready;
  at.admin.heard->status.children = {
    {.actor = "store", .state = actor_state::running, .says = actor_status{.thread = 7}},
    {.actor = "spool", .state = actor_state::running}};
  auto says = at.result("status");
  CHECK(says["state"] == "ready");
  CHECK(says["version"] == PHI_VERSION);
  CHECK(says["pid"] == ::getpid());
  CHECK(says["runId"] == "run");
  CHECK(says["databaseId"] == "d-1");
  CHECK(says["listeners"] == json{"127.0.0.1:3939"});
  CHECK(says["actors"][0]["says"]["processorMs"] == 70.0);
  CHECK_FALSE(says["actors"][1].contains("says")); // it did not answer: nothing is made up for it
  at.console->database.clear();
  CHECK_FALSE(at.result("status").contains("databaseId"));
}

TEST_CASE("admin: a supervisor that does not answer is said after the time, not before") {
  struct {
    const char* method;
    duration limit;
    const char* said;
  } const rows[] = {
    {"status", defaults::service_status_timeout, "-32603: the supervisor does not answer"},
    {"plan", defaults::service_status_timeout, "-32603: the supervisor does not answer"},
    {"reload", defaults::reload_timeout, "-32603: the reload is not over yet; see the log"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.method);
    admin_fixture at;
    at.admin.heard->answers = false;
    at.call(row.method);
    at.on.advance(row.limit - 10ms);
    CHECK(at.answers.empty());
    CHECK(at.result("drain") == json{{"accepted", true}}); // nobody else waits meanwhile
    at.on.advance(20ms);
    CHECK(at.error() == row.said);
  }
}

TEST_CASE("admin: a reload tells what has changed, or why nothing has") {
  admin_fixture at;
  at.admin.heard->reloaded = {.changed = {"a"}, .needs_restart = {"b", "c"}, .warnings = {"d"}};
  CHECK(at.result("reload")
        == json{{"changed", {"a"}}, {"needsRestart", {"b", "c"}}, {"warnings", {"d"}}});
  at.admin.heard->reloaded.accepted = outcome::failure("line 3");
  CHECK(at.error("reload") == "-32000: line 3");
  CHECK(at.admin.heard->reloads == 2);
  at.admin.heard->forecast = {.drain_delay = 1s, .deadline = 30s, .hard = 32s};
  auto plan = at.result("plan");
  CHECK(plan["deadlineMs"] == 30000.0);
  CHECK(plan["hardMs"] == 32000.0);
  CHECK_FALSE(plan.contains("managerMs"));
}

TEST_CASE("admin: the health of the whole has its causes as texts and as codes") {
  admin_fixture at;
  CHECK(at.result("health")
        == json{{"status", "ok"},
                {"causes", json::array()},
                {"causeCodes", json::array()},
                {"refusesEvents", false}});
  at.console->view = {
    .causes = {{"store", cause_kind::degraded, "no host db", "away", ailment::database_away},
               {"http", cause_kind::silent, "6 s", "6 s"}},
    .refuses_events = true};
  auto says = at.result("health");
  CHECK(says["status"] == "degraded");
  CHECK(says["causes"] == json{"store: no host db", "http: 6 s"}); // an operator has the words
  CHECK(says["causeCodes"][0]["code"] == to_string(ailment::database_away));
  CHECK(says["causeCodes"][1] == json{{"part", "http"}, {"kind", "silent"}});
  CHECK(says["refusesEvents"] == true);
}

TEST_CASE("admin: levels and traces go to the console as they were wished") {
  admin_fixture at;
  CHECK(at.result("log-level") == json{{"level", "info"}, {"before", "info"}});
  CHECK(at.result("log-level", R"({"level":"debug"})")
        == json{{"level", "debug"}, {"before", "info"}});
  CHECK(at.result("trace-on", R"({"log":true,"actors":["a","b"],"messages":["m"]})")
        == json{{"tracing", true}});
  CHECK(at.console->traced.to_log);
  CHECK(at.console->traced.actors == std::vector<std::string>{"a", "b"});
  CHECK(at.console->traced.messages == std::vector<std::string>{"m"});
  CHECK_FALSE(at.console->traced.user_data);
  at.result("trace-on", R"({"userData":true})");
  CHECK_FALSE(at.console->traced.to_log);
  CHECK(at.console->traced.actors.empty());
  CHECK(at.console->traced.user_data);
  CHECK(at.console->tracing);
  CHECK(at.result("trace-off") == json{{"tracing", false}});
  CHECK_FALSE(at.console->tracing);
  at.console->page = {.lines = {"{}"}, .next = 9, .dropped = 2};
  CHECK(at.result("trace-read", R"({"from":4})")
        == json{{"lines", {"{}"}}, {"dropped", 2}, {"next", 9}});
  CHECK(at.console->trace_from == 4);
  CHECK(at.console->trace_bytes == 262144); // however it is quoted, it fits into a line
  at.console->page.next = std::nullopt;
  CHECK_FALSE(at.result("trace-read").contains("next"));
  CHECK(at.console->trace_from == 0);
  at.console->refusal = outcome::failure("no such thing");
  CHECK(at.error("log-level", R"({"level":"x"})") == "-32602: no such thing");
  CHECK(at.error("trace-on") == "-32000: no such thing");
  CHECK(at.error("config-diff") == "-32000: no such thing");
  CHECK(at.console->level == "debug");
}

TEST_CASE("admin: settings and what the doctor found") {
  admin_fixture at;
  CHECK(at.result("config")["settings"][1]
        == json{{"key", "logging.level"}, {"value", "debug"}, {"origin", "phi.toml:3"}});
  CHECK(at.result("config-diff")
        == json{{"live", {"logging.level"}}, {"needsRestart", {"server.port"}}});
  auto found = at.result("doctor")["examined"];
  REQUIRE(found.size() == 3);
  CHECK(found[0]["verdict"] == "ok");
  CHECK(found[1]
        == json{{"what", "b"},
                {"verdict", "warning"},
                {"code", to_string(finding_code::state_directory_unwritable)},
                {"text", "so so"},
                {"remedy", "look"}});
  CHECK(found[2]["verdict"] == "bad");
}

TEST_CASE("admin: an error of the database says whether another try may help") {
  admin_fixture at;
  struct {
    error_code error;
    const char* detail;
    const char* said;
  } const rows[] = {
    {error_code::questions_unavailable, "", "-32001: "},
    {error_code::query_timeout, "5 s", "-32001: The query took too long: 5 s"},
    {error_code::too_many_events, "", "-32002: Too many events in one request"},
    {error_code::invalid_query, "start: no day", "-32000: A parameter is not valid: start: no day"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.said);
    at.call("ask", R"({"path":"/stats/daily","query":"a=b"})");
    CHECK(at.answers.empty());
    at.console->answer({row.error, row.detail, "{}"});
    CHECK(at.error().starts_with(row.said));
  }
  CHECK(at.console->asked_paths.front() == "/stats/daily?a=b");
  auto request = at.call("ingest", R"({"lines":"{\"feature\":\"a\"}\n"})");
  CHECK(at.console->lines == "{\"feature\":\"a\"}\n");
  at.console->answer({.body = R"({"stored":1})"});
  CHECK(at.answer()["result"] == json{{"stored", 1}});
}

TEST_CASE("admin: a question knows whether its asker has gone, and brings a file along") {
  admin_fixture at;
  auto request = at.call("verify");
  CHECK(at.console->gone == request->asker_gone);
  request = at.call("ask", R"({"path":"/stats/daily"})");
  CHECK(at.console->gone == request->asker_gone);
  at.console->answer({.body = "{}"});
  at.console->answer({.body = "{}"});
  CHECK(at.answers.size() == 2);
  at.answers.clear();
  request = at.call("backup");
  auto file = std::make_shared<owned_fd>();
  at.console->answer({.body = "{}", .file = file});
  CHECK(request->file == file);
  at.answers.clear();
  at.call("backup");
  auto where = [&](size_t which) {
    return std::get<backup_task>(std::get<inspection_task>(at.console->questions[which])).file;
  };
  CHECK(where(1) == "/nonexistent/backup-1.db.part");
  CHECK(where(2) == "/nonexistent/backup-2.db.part"); // two at once do not meet
}

TEST_CASE("admin: each method of the databases asks its own question") {
  admin_fixture at;
  at.call("events", R"({"limit":3,"feature":"f","overGaps":true})");
  at.call("events");
  at.call("spool");
  at.call("spool-fsck");
  at.call("spool-fsck", R"({"forgetMissing":true})");
  at.call("spool-replay");
  at.call("cluster");
  at.call("cluster-want", R"({"instance":"i","state":"drain"})");
  at.call("cluster-forget", R"({"instance":"j"})");
  at.call("cluster-take-restart-slot");
  at.call("cluster-take-turn"); // of an older phictl
  at.call("cluster-give-restart-slot", R"({"instance":"k"})");
  const auto& asked = at.console->questions;
  REQUIRE(asked.size() == 12);
  auto read = std::get<recent_events_query>(std::get<reader_query>(asked[0]));
  CHECK(read.limit == 3);
  CHECK(read.feature == "f");
  CHECK(read.over_gaps);
  read = std::get<recent_events_query>(std::get<reader_query>(asked[1]));
  CHECK(read.limit == 100);
  CHECK_FALSE(read.after);
  CHECK_FALSE(read.feature);
  CHECK_FALSE(read.over_gaps);
  auto spool = [&](size_t which) { return std::get<spool_task>(asked[which]); };
  CHECK(std::holds_alternative<spool_show>(spool(2)));
  CHECK_FALSE(std::get<spool_check>(spool(3)).forget_missing);
  CHECK(std::get<spool_check>(spool(4)).forget_missing);
  CHECK(std::holds_alternative<spool_requeue>(spool(5)));
  CHECK(std::holds_alternative<cluster_query>(std::get<reader_query>(asked[6])));
  auto cluster = [&](size_t which) { return std::get<cluster_task>(asked[which]); };
  CHECK(std::get<steer_instance>(cluster(7)).instance == "i");
  CHECK(std::get<steer_instance>(cluster(7)).wanted == instance_wish::drain);
  CHECK(std::get<forget_instance>(cluster(8)).instance == "j");
  CHECK(std::holds_alternative<take_restart_slot>(cluster(9)));
  CHECK(std::holds_alternative<take_restart_slot>(cluster(10)));
  CHECK(std::get<give_restart_slot>(cluster(11)).instance == "k");
  CHECK(at.answers.empty());
  CHECK(at.error("cluster-want", R"({"instance":"i","state":"gone"})")
        == "-32602: state \"gone\" is not one of drain, ready");
  CHECK(asked.size() == 12);
}

TEST_CASE("admin: tokens are made, shown without their secret, and revoked") {
  admin_fixture at;
  auto made = at.result("token-create", R"({"name":"n","scopes":["read"],"expiresInSeconds":1})");
  CHECK(made
        == json{{"id", "0123abcd"},
                {"name", "n"},
                {"scopes", {"read"}},
                {"created", "2026-01-01T00:00:00Z"},
                {"expired", false},
                {"secret", "s3cret"}});
  CHECK(at.console->token_seconds == 1);
  CHECK_FALSE(at.console->confirmed);
  at.console->notice = "others need one now";
  made = at.result("token-create", R"({"confirmed":true,"expiresInSeconds":3153600000})");
  CHECK(made["notice"] == "others need one now");
  CHECK(at.console->confirmed);
  for (const auto* seconds : {"0", "3153600001"}) {
    CAPTURE(seconds);
    CHECK(at.error("token-create", R"({"expiresInSeconds":)" + std::string{seconds} + "}")
            .starts_with("-32602: expiresInSeconds must be a whole number from 1 to 3153600000"));
  }
  auto listed = at.result("token-list")["tokens"];
  REQUIRE(listed.size() == 2);
  CHECK_FALSE(listed[0].contains("expires"));
  CHECK(listed[1]["expires"] == "e2");
  CHECK(listed[1]["expired"] == true);
  CHECK_FALSE(listed[0].contains("secret"));
  CHECK(at.result("token-revoke", R"({"id":"2"})") == json{{"revoked", "2"}});
  at.console->refusal = outcome::failure("no such token");
  CHECK(at.error("token-revoke", R"({"id":"3"})") == "-32000: no such token");
  CHECK(at.error("token-create") == "-32602: no such token");
  CHECK(at.console->revoked == std::vector<std::string>{"2", "3"});
}

TEST_CASE("admin: works until it is released, and then says how much it did") {
  admin_fixture at;
  at.admin.tell(atom::stop_v, stop_order{});
  at.send("{"); // counted all the same
  CHECK(at.error().starts_with("-32700: "));
  CHECK(at.error("drain") == "-32000: the service is stopping");
  CHECK(at.admin.heard->lame_duck.empty());
  CHECK(at.result("status").is_object());
  CHECK_FALSE(at.admin.gone());
  at.admin.tell(atom::release_v, release_order{});
  CHECK(at.admin.gone());
  REQUIRE(at.admin.heard->stopped.size() == 1);
  const auto& report = at.admin.heard->stopped[0];
  CHECK(report.actor == "admin");
  REQUIRE(report.did.size() == 1);
  CHECK(report.did[0].name == "requests");
  CHECK(report.did[0].count == 3);
}

TEST_CASE("admin: a socket that does not open is no start") {
  virtual_system on;
  auto console = std::make_shared<recorded_console>();
  lone_actor<admin_actor> admin{on, "admin", admin_behavior, console_port_ptr{console},
                                attach_function{[](const admin_actor&) {
                                  return outcome::failure("another process answers there");
                                }}};
  CHECK(admin.gone());
  CHECK(admin.heard->stopped.empty());
}

TEST_CASE("admin: metrics are written of the supervisor's word, and without it when it is silent") {
  admin_fixture at;
  auto replies = std::make_shared<recorded_replies>();
  auto ask = [&](ticket to, metrics_format format) {
    at.admin.tell(atom::ask_v, std::make_shared<asked<service_query>>(
                                 service_query{metrics_query{format}}, query_reply{replies, to}));
  };
  at.admin.heard->status.state = service_state::lame_duck;
  ask(1, metrics_format::prometheus);
  ask(2, metrics_format::open_metrics);
  CHECK(replies->answers.at(1).body == "lame_duck 0");
  CHECK(replies->answers.at(2).body == "lame_duck 1");
  at.admin.heard->answers = false;
  ask(3, metrics_format::prometheus);
  CHECK_FALSE(replies->answers.contains(3));
  at.on.advance(defaults::service_status_timeout);
  CHECK(replies->answers.at(3).body == "silent 0");
}

TEST_CASE("admin: what has happened is told as the console has it, in the format that is asked") {
  admin_fixture at;
  CHECK(at.result("lifecycle").dump() == R"({"rows":[{"format":"json"}]})");
  auto replies = std::make_shared<recorded_replies>();
  at.admin.tell(atom::ask_v, std::make_shared<asked<service_query>>(
                               service_query{lifecycle_query{"csv"}}, query_reply{replies, 1}));
  CHECK(replies->answers.at(1).body == R"({"rows":[{"format":"csv"}]})");
}
