// The process as an operator's console sees it, before actors that the test plays.

#include "server/admin/console.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/recorded_backend.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

#include <algorithm>
#include <filesystem>

using namespace phi;
using namespace phi::testing;

namespace {

struct console_fixture {
  console_fixture() {
    write_text(file, "[logging]\nlevel = \"error\"\n[server]\nstate_dir = \"" + state_dir.path()
                       + "\"\n");
    loaded = source.load();
    REQUIRE(loaded.ok());
    running = std::make_shared<config>(loaded.values);
    process = std::make_unique<service>(
      service_parts{state, resort, log, source, manager, watch, life}, running, loaded.origins);
    desk = std::make_unique<console>(
      *process, log, source, trace, watch, backend, tokens, "salt",
      console_views{.listeners = [] { return std::vector<std::string>{"127.0.0.1:4711"}; },
                    .http_counts_now = [] { return http_counts{.connections = 3}; },
                    .loops_alive = [] { return std::vector<loop_life>{{.accepts = true}}; },
                    .database_id = [] { return std::string{"d-1"}; }});
  }
  std::function<void(query_answer)> then() {
    return [this](query_answer answer) { answers.push_back(std::move(answer)); };
  }
  query_answer only() {
    REQUIRE(answers.size() == 1);
    auto out = std::move(answers.front());
    answers.clear();
    return out;
  }
  finding found(const std::string& subject) const {
    for (const auto& one : desk->examine(service_status{}))
      if (one.subject == subject)
        return one;
    return {};
  }

  temp_dir dir;
  temp_dir state_dir;
  scoped_variable no_manager{"NOTIFY_SOCKET"};
  scoped_variable no_level{"PHI_LOG"};
  std::string file = dir.path("phi.toml");
  state_directory state{state_dir.path()};
  last_resort resort;
  life_history life{""};
  process_log log{log_level::error, "compact"};
  settings_source source{file};
  systemd::service_manager manager;
  process_watch watch{manager, false, {}};
  trace_recorder trace;
  loaded_config loaded;
  std::shared_ptr<config> running;
  std::shared_ptr<recorded_backend> backend = std::make_shared<recorded_backend>();
  std::shared_ptr<api::token_store> tokens =
    std::make_shared<api::token_store>(state_dir.path("tokens.json"));
  std::unique_ptr<service> process;
  std::unique_ptr<console> desk;
  std::vector<query_answer> answers;
};

} // namespace

TEST_CASE("console: a question in the words of HTTP is checked, then asked as it is there") {
  console_fixture at;
  at.desk->ask("/stats/nothing", "", {}, at.then());
  auto none = at.only();
  CHECK(none.error == error_code::not_found);
  CHECK(none.detail == "there is no question /stats/nothing");
  at.desk->ask("/stats/daily", "start=soon&end=2026-01-01", {}, at.then());
  auto wrong = at.only();
  CHECK(wrong.error == error_code::invalid_query);
  CHECK(wrong.detail.starts_with("start: "));
  CHECK(at.backend->questions.empty());
  auto gone = std::make_shared<std::atomic<bool>>(true);
  at.desk->ask("/stats/daily", "start=2026-01-01&end=2026-01-02", gone, at.then());
  REQUIRE(at.backend->questions.size() == 1);
  CHECK(at.answers.empty());
  CHECK(at.backend->questions[0]->abandoned());
  auto query = std::get<statistics_query>(at.backend->questions[0]->question);
  CHECK(query.path == "/stats/daily");
  CHECK(query.parameters.day("end") == 20'455); // 2026-01-02
  at.backend->questions[0]->reply.answer({.body = "[]"});
  at.backend->forget();
  CHECK(at.only().body == "[]");
}

TEST_CASE(
  "console: an operator's question goes to the actor that knows, unanswered it is answered") {
  console_fixture at;
  at.desk->ask(operator_question{reader_query{cluster_query{}}}, {}, at.then());
  at.desk->ask(operator_question{inspection_task{verify_task{}}}, {}, at.then());
  at.desk->ask(operator_question{spool_task{spool_check{true}}}, {}, at.then());
  at.desk->ask(operator_question{cluster_task{forget_instance{"i"}}}, {}, at.then());
  CHECK(at.backend->questions.size() == 1);
  CHECK(at.backend->inspections.size() == 1);
  REQUIRE(at.backend->spool_tasks.size() == 1);
  CHECK(std::get<spool_check>(at.backend->spool_tasks[0]->question).forget_missing);
  REQUIRE(at.backend->cluster_tasks.size() == 1);
  CHECK(std::get<forget_instance>(at.backend->cluster_tasks[0]->question).instance == "i");
  CHECK(at.answers.empty());
  at.backend->forget();
  REQUIRE(at.answers.size() == 4);
  for (const auto& answer : at.answers)
    CHECK(answer.error == error_code::stopping);
}

TEST_CASE("console: events are read, counted and answered as over HTTP") {
  console_fixture at;
  at.desk->ingest("{\"feature\":\"a\"}\n{\"x\":1}\n{\"feature\":\"b\"}\n", at.then());
  REQUIRE(at.backend->turns.size() == 1);
  const auto& request = at.backend->turns[0]->requests.at(0);
  CHECK(request.awaited);
  CHECK(request.rejected == 1);
  REQUIRE(request.events.size() == 2);
  CHECK(request.events[1].feature == "b");
  CHECK(request.bytes == request.events[0].footprint() + request.events[1].footprint());
  CHECK(at.answers.empty());
  at.backend->turns[0]->replies->deliver({{request.to, {.stored = 1, .duplicates = 1}}});
  auto body = at.only().body;
  CHECK(body.starts_with(R"({"stored":1,"duplicates":1,"rejected":[{"index":1,)"));
  at.backend->turns[0]->requests.clear();
  at.backend->forget();
  // None is valid: answered at once, and in the ledger all the same.
  at.desk->ingest("{\"x\":1}\n", at.then());
  CHECK(at.only().body.starts_with(R"({"stored":0,"duplicates":0,"rejected":[{"index":0,)"));
  REQUIRE(at.backend->turns.size() == 1);
  CHECK_FALSE(at.backend->turns[0]->requests.at(0).awaited);
  CHECK(at.backend->turns[0]->requests.at(0).rejected == 1);
  at.backend->forget();
  CHECK(at.answers.empty()); // not a second time
  at.desk->ingest("", at.then());
  CHECK(at.only().error == error_code::empty_body);
  CHECK(at.backend->turns.empty());
  at.desk->ingest("{\"feature\":\"a\"}\n", at.then());
  at.backend->turns[0]->replies->deliver(
    {{0, {.error = error_code::overloaded, .retry_after_s = 3}}});
  auto refused = at.only();
  CHECK(refused.error == error_code::overloaded);
  CHECK(refused.detail == "try again in 3 s");
  at.backend->turns[0]->requests.clear();
}

TEST_CASE("console: the first token needs a yes when clients have come without one") {
  console_fixture at;
  auto wrong = [&](const std::string& name, const std::vector<std::string>& scopes) {
    return at.desk->create_token(name, scopes, std::nullopt, true).why();
  };
  CHECK(wrong("n", {}) == "a token needs a scope: ingest, read or admin");
  CHECK(wrong("n", {"read", "write"}) == "scope \"write\" is not one of ingest, read, admin");
  CHECK_FALSE(wrong("", {"read"}).empty());
  at.tokens->note_anonymous();
  at.tokens->note_anonymous();
  auto made = at.desk->create_token("n", {"read"}, std::nullopt, false);
  CHECK(made.why().starts_with("2 requests have come without a token; "));
  CHECK(at.desk->tokens().empty());
  made = at.desk->create_token("n", {"read", "ingest", "read"}, 60, true);
  REQUIRE(made.why() == "");
  CHECK(made->kept.scopes == std::vector<std::string>{"read", "ingest"}); // each once
  CHECK_FALSE(made->kept.expires.empty());
  CHECK_FALSE(made->secret.empty());
  REQUIRE(at.desk->create_token("m", {"admin"}, std::nullopt, false).why() == ""); // the second
  auto listed = at.desk->tokens();
  REQUIRE(listed.size() == 2);
  CHECK(listed[0].name == "n");
  CHECK(listed[1].expires.empty());
  CHECK(at.desk->revoke_token(listed[0].id).why() == "");
  CHECK_FALSE(at.desk->revoke_token(listed[0].id));
  CHECK(at.desk->tokens().size() == 1);
}

TEST_CASE("console: levels that there are, and the settings in effect with who set them") {
  console_fixture at;
  CHECK(at.desk->log_level() == "error");
  CHECK(at.desk->set_log_level("loud").why()
        == "level \"loud\" is not one of trace, debug, info, warn, error");
  CHECK(at.desk->log_level() == "error");
  CHECK(at.desk->set_log_level("warn").why() == "");
  CHECK(at.desk->log_level() == "warn");
  auto settings = at.desk->settings();
  auto level = std::find_if(settings.begin(), settings.end(),
                            [](const auto& one) { return one.path == "logging.level"; });
  REQUIRE(level != settings.end());
  CHECK(level->value == "\"error\"");
  CHECK(level->origin == at.file + ":2");
  CHECK(at.desk->state_directory() == at.state_dir.path());
  CHECK(at.desk->run_id() == at.state.run_id());
  CHECK(at.desk->database_id() == "d-1");
  CHECK(at.desk->listeners() == std::vector<std::string>{"127.0.0.1:4711"});
  CHECK(at.desk->processor_ms(0) < 0); // not known
}

TEST_CASE("console: the doctor names what is ill, and finds the rest well") {
  console_fixture at;
  using verdict = finding_verdict;
  for (const auto* what : {"permissions", "clock", "user hashes", "health", "configuration"}) {
    CAPTURE(what);
    auto one = at.found(what);
    CHECK(one.verdict == verdict::ok);
    CHECK(one.remedy.empty());
  }
  CHECK(at.found("database").verdict == verdict::bad); // nobody has made it
  std::filesystem::permissions(at.state_dir.path(), std::filesystem::perms{0755});
  CHECK(at.found("permissions").verdict == verdict::warning);
  CHECK(at.found("permissions").remedy == "chmod 0700 " + at.state_dir.path());
  at.backend->view = {{{"store", cause_kind::degraded, "in full", "in short"}}, false};
  CHECK(at.found("health").text == "degraded: store: in full");
  CHECK(at.found("health").verdict == verdict::bad);
  write_text(at.file, "[loging]\n");
  auto wrong = at.found("configuration");
  CHECK(wrong.verdict == verdict::bad);
  CHECK(wrong.text.starts_with("the next start or reload would fail: "));
  CHECK_FALSE(at.desk->difference());
  write_text(at.file, "[logging]\nlevel = \"warn\"\n[server]\nstate_dir = \"" + at.state_dir.path()
                        + "\"\nport = 4000\n");
  auto difference = at.desk->difference();
  REQUIRE(difference.why() == "");
  REQUIRE(difference->live.size() == 1);
  CHECK(difference->live[0].starts_with("logging.level"));
  REQUIRE(difference->needs_restart.size() == 1);
  CHECK(difference->needs_restart[0].starts_with("server.port"));
}

TEST_CASE("console: metrics are those of the listener, the process and the supervisor's word") {
  console_fixture at;
  service_status status{.state = service_state::lame_duck};
  auto told = at.desk->metrics(status, metrics_format::prometheus);
  CHECK(told.find("\nphi_http_connections 3\n") != told.npos);
  CHECK(told.find("\nphi_event_loop_accepts{loop=\"1\"} 1\n") != told.npos);
  CHECK(told.find("\nphi_state{state=\"lame_duck\"} 1\n") != told.npos);
  CHECK(told.find("\nphi_reloads_total{result=\"refused\"} 0\n") != told.npos);
  write_text(at.file, "[nonsense]\n");
  CHECK_FALSE(at.process->prepare_reload().report.accepted);
  told = at.desk->metrics(std::nullopt, metrics_format::open_metrics);
  CHECK(told.find("\nphi_supervisor_responding 0\n") != told.npos);
  CHECK(told.find("\nphi_reloads_total{result=\"refused\"} 1\n") != told.npos);
  CHECK(told.ends_with("# EOF\n"));
}
