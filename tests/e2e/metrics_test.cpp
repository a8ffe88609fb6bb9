// GET /metrics on the real service: its numbers against what was sent, and that it is answered when
// it matters.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/metrics_text.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/places.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <thread>

using namespace phi::testing;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

bool lacks_promtool() {
  return shell("command -v promtool").code != 0;
}

/// What it prints now, which must be valid.
std::map<std::string, double> metrics_of(uint16_t port) {
  auto answer = get(port, "/metrics");
  CHECK(answer.status == 200);
  auto read = read_metrics(answer.body);
  CHECK(read.faults == std::vector<std::string>{});
  return read.samples;
}

/// -1 where there is none.
double at(const std::map<std::string, double>& samples, const std::string& name) {
  auto found = samples.find(name);
  return found == samples.end() ? -1 : found->second;
}

void send(uint16_t port, const std::string& events, int status = 200) {
  CHECK(post(port, "/api/v1/events", events).status == status);
}

} // namespace

TEST_CASE("metrics: counters agree with what was sent, in both formats") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto port = service.port();
  for (const auto* id : {"1", "2", "3", "1"})
    send(port, R"({"feature":"f","id":")" + std::string{id} + "\"}");
  send(port, R"([{"feature":"a"},{"staus":1},{"feature":"b"}])");
  send(port, R"([{"x":1},{"x":2}])", 400);
  CHECK(get(port, "/api/v1/stats/daily?start=today&end=today").status == 200);
  CHECK(get(port, "/nothing").status == 404);
  auto now = metrics_of(port);
  CHECK(at(now, "phi_events_received_total") == 9);
  CHECK(at(now, "phi_events_stored_total") == 5);
  CHECK(at(now, "phi_events_duplicate_total") == 1);
  CHECK(at(now, R"(phi_events_rejected_total{reason="invalid"})") == 3);
  CHECK(at(now, R"(phi_events_rejected_total{reason="overloaded"})") == 0);
  CHECK(at(now, "phi_events_in_queue") == 0);
  CHECK(at(now, "phi_ledger_balanced") == 1);
  CHECK(at(now, "phi_store_batches_total") == 5);
  CHECK(at(now, "phi_store_batch_events_total") == 6);
  CHECK(at(now, "phi_commit_duration_seconds_count") == 5);
  CHECK(at(now, "phi_flush_duration_seconds_count") == 5);
  CHECK(at(now, "phi_flush_duration_seconds_sum") >= at(now, "phi_commit_duration_seconds_sum"));
  CHECK(at(now, R"(phi_questions_answered_total{actor="reader"})") == 1);
  CHECK(at(now, R"(phi_question_duration_seconds_count{actor="reader"})") == 1);
  CHECK(at(now, R"(phi_http_requests_total{class="2xx"})") == 6);
  CHECK(at(now, R"(phi_http_requests_total{class="4xx"})") == 2);
  CHECK(at(now, R"(phi_http_requests_total{class="5xx"})") == 0);
  CHECK(at(now, R"(phi_http_request_duration_seconds_count{kind="ingest"})") == 6);
  CHECK(at(now, R"(phi_http_request_duration_seconds_count{kind="question"})") == 1);
  CHECK(at(now, R"(phi_http_request_duration_seconds_count{kind="other"})") == 1);
  CHECK(at(now, "phi_http_requests_in_flight") == 1); // this one
  CHECK(at(now, R"(phi_state{state="ready"})") == 1);
  CHECK(at(now, R"(phi_actor_up{actor="stats"})") == 1);
  CHECK(at(now, R"(phi_actor_responding{actor="admin"})") == 1);
  CHECK(at(now, "phi_last_run_crashed") == -1); // there was none
  CHECK(at(now, "process_resident_memory_bytes") > 1e6);
  CHECK(at(now, "process_open_fds") > 5);
  CHECK(at(now, "process_open_fds") < at(now, "process_max_fds"));
  CHECK(at(now, "process_cpu_seconds_total") > 0);
  auto since =
    std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()
    - at(now, "process_start_time_seconds");
  CHECK(since > 0);
  CHECK(since < 60);
  auto open = get(port, "/metrics", "Accept: application/openmetrics-text\r\n");
  CHECK(open.headers["content-type"]
        == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK_FALSE(open.headers.contains("etag"));
  auto read = read_open_metrics(open.body);
  CHECK(read.faults == std::vector<std::string>{});
  CHECK(at(read.samples, "phi_events_received_total") == 9);
  CHECK(get(port, "/metrics").headers["content-type"]
        == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(service.stop().code == 0);
  service.start_again();
  now = metrics_of(service.port());
  CHECK(at(now, "phi_events_received_total") == 0);
  CHECK(at(now, "phi_last_run_crashed") == 0);
  CHECK(at(now, "phi_last_stop_exit_status") == 0);
  CHECK(at(now, "phi_last_stop_duration_seconds") > 0);
  service.kill();
  service.start_again();
  CHECK(at(metrics_of(service.port()), "phi_last_run_crashed") == 1);
}

TEST_CASE("metrics: who may read statistics may read them, once there are tokens") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  auto token = [&](const std::string& scope) {
    auto made = ctl(dir, {"--json", "token", "create", "--name", scope, "--scope", scope, "--yes"});
    return nlohmann::json::parse(made.out)["secret"].get<std::string>();
  };
  auto status_with = [&](const std::string& secret) {
    return get(service.port(), "/metrics", "Authorization: Bearer " + secret + "\r\n").status;
  };
  CHECK(get(service.port(), "/metrics").status == 200);
  CHECK(status_with(token("read")) == 200);
  CHECK(status_with(token("ingest")) == 403);
  CHECK(status_with(token("admin")) == 200);
  CHECK(get(service.port(), "/metrics").status == 401);
  CHECK(get(service.port(), "/health").status == 200);
}

TEST_CASE("metrics: answered in a stop, and say that it is one") {
  temp_dir dir;
  auto env = quiet;
  env["APP_SERVER_KEEPALIVE_GRACE_MS"] = "5000";
  service_process service{dir.path(), env};
  http_client scraper{service.port()};
  CHECK(scraper.get("/metrics").status == 200);
  service.signal(SIGTERM);
  REQUIRE(service.wait_for_log("supervisor begins to stop"));
  auto last = scraper.get("/metrics");
  CHECK(last.status == 200);
  CHECK(last.closes());
  auto read = read_metrics(last.body);
  CHECK(read.faults == std::vector<std::string>{});
  CHECK(at(read.samples, R"(phi_state{state="stopping"})") == 1);
  CHECK(at(read.samples, R"(phi_state{state="ready"})") == 0);
  CHECK(at(read.samples, R"(phi_event_loop_accepts{loop="1"})") >= 0);
  auto end = service.wait();
  CHECK(end.code == 0);
  CHECK(end.took < 4s); // nobody else is there to wait for
}

TEST_CASE("metrics: an actor that is stuck is named, and all others are there all the same") {
  REQUIRE(has_faults());
  temp_dir dir;
  auto env = quiet;
  env["PHI_FAULTS"] = "store.commit=block:3000";
  service_process service{dir.path(), env};
  std::thread sender{[&] { send(service.port(), R"({"feature":"f"})"); }};
  std::this_thread::sleep_for(300ms);
  auto began = steady::now();
  auto now = metrics_of(service.port());
  CHECK(steady::now() - began < 1500ms);
  CHECK(at(now, R"(phi_actor_responding{actor="store"})") == 0);
  CHECK(at(now, R"(phi_actor_responding{actor="stats"})") == 1);
  CHECK(at(now, R"(phi_actor_wait_seconds{actor="stats",for="actor"})") > 0.1);
  CHECK(at(now, "phi_store_batches_total") == -1);
  CHECK(at(now, "phi_events_in_queue") == 1);
  sender.join();
  CHECK(at(metrics_of(service.port()), "phi_store_batches_total") == 1);
  CHECK(service.stop().code == 0);
}

TEST_CASE("metrics: Prometheus' own tool finds nothing against them, their rules and their tests"
          * doctest::skip(lacks_promtool())) {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  send(service.port(), R"({"feature":"f"})");
  auto checked = shell("curl -s localhost:" + std::to_string(service.port())
                       + "/metrics | promtool check metrics 2>&1");
  CHECK(checked.out == "");
  CHECK(checked.code == 0);
  auto rules = shell("cd " + source_path("deploy/monitoring")
                     + " && promtool check rules "
                       "phi-backend.rules.yml && promtool test rules phi-backend.rules.test.yml");
  CHECK_MESSAGE(rules.code == 0, rules.out);
}
