// The table of metrics: what each is called, what it says of a status that is known, and that both
// formats are valid whatever that is.

#include "server/observe/metrics.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/metrics_text.hpp"
#include "tests/support/places.hpp"

#include <regex>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

time_counts of_one(duration took) {
  time_counts out;
  out.add(took);
  return out;
}

child_status stats_child() {
  child_status out{.actor = "stats", .state = actor_state::running, .says = actor_status{}};
  out.waits = {{"store", 250ms}};
  auto& says = *out.says;
  says.mailbox = 4;
  says.progress = 90;
  says.degraded = "with \"words\" of the database";
  says.backlog_s = 1.25;
  says.gauges = {{"queue_bytes", 512}, {"drain_per_second", 80}, {"refusing", 1},
                 {"oldest_ms", 1500},  {"counted_as_other", 6},  {"identities_lost", 7}};
  says.rejected = {{"invalid", 2}, {"overloaded", 1}};
  says.times = {{"commit", of_one(2ms)}, {"flush", of_one(30ms)}};
  return out;
}

child_status child_of(std::string actor, std::vector<counted> gauges) {
  actor_status says{.gauges = std::move(gauges)};
  return {.actor = std::move(actor), .state = actor_state::running, .says = std::move(says)};
}

/// A service on PostgreSQL with everything that there is.
metrics_source whole() {
  auto settings = std::make_shared<config>();
  settings->resolved.storage = storage_kind::postgres;
  service_status status{.state = service_state::ready};
  status.ledger = ledger_counts{.received = 30,
                                .stored = 10,
                                .duplicates = 5,
                                .rejected = 3,
                                .spooled = 4,
                                .set_aside = 2,
                                .in_queue = 6};
  status.children = {
    child_of("http", {}),
    stats_child(),
    child_of("reader", {{"questions", 11}, {"dropped", 1}}),
    child_of("inspector", {{"questions", 2}}),
    child_of("spool", {{"batches", 3},
                       {"events", 4},
                       {"bytes", 900},
                       {"set_aside", 1},
                       {"appended", 20},
                       {"replayed", 16}}),
    child_of("store", {{"batches", 9}, {"events", 15}}),
    child_of("maintenance", {{"steps", 8}, {"leads", 1}, {"uncounted_bytes", 77}}),
    child_of("membership", {{"beats", 40}}),
    child_of("watchdog", {{"rounds", 12}, {"late", 1}}),
    child_of("signal", {{"signals", 1}}),
    {.actor = "admin", .state = actor_state::restarting, .restarts = 2},
  };
  status.children[2].says->times = {{"answer", of_one(3ms)}};
  metrics_source out{.status = std::move(status), .settings = settings, .started_us = 1'500'000};
  out.health.causes = {{.who = "stats", .why = "x"}};
  out.http = {.connections = 2, .in_flight = 1, .requests = 9, .refused = 1, .accepted = 5};
  out.http.by_class = {0, 0, 7, 0, 1, 1};
  out.http.took[0] = of_one(1ms);
  out.loops = {{.silent_for = 0ms, .accepts = true}, {.silent_for = 1500ms}};
  out.process = {.processor = 250ms,
                 .resident_bytes = 4096,
                 .virtual_bytes = 8192,
                 .threads = 9,
                 .open_files = 12,
                 .most_open_files = 1024};
  out.life = {.reloads = 3, .reloads_refused = 1};
  out.life.last = last_stop{.exit_code = 81, .took_s = 30.5, .at_us = 2'000'000};
  return out;
}

/// Its lines.
std::string family(const metrics_source& from, const std::string& name) {
  auto read = read_metrics(write_metrics(from, metrics_format::prometheus));
  auto found = read.families.find(name);
  return found == read.families.end() ? "" : found->second;
}

double sample(const metrics_source& from, const std::string& name) {
  auto read = read_metrics(write_metrics(from, metrics_format::prometheus));
  auto found = read.samples.find(name);
  return found == read.samples.end() ? -1 : found->second;
}

} // namespace

TEST_CASE("metrics: the ledger, by reason, exactly as it is written") {
  auto from = whole();
  CHECK(family(from, "phi_events_rejected_total")
        == "# HELP phi_events_rejected_total Events that were refused, and their sender told so.\n"
           "# TYPE phi_events_rejected_total counter\n"
           "phi_events_rejected_total{reason=\"invalid\"} 2\n"
           "phi_events_rejected_total{reason=\"overloaded\"} 1\n");
  CHECK(family(from, "phi_events_received_total")
        == "# HELP phi_events_received_total Events read out of requests, valid or not.\n"
           "# TYPE phi_events_received_total counter\n"
           "phi_events_received_total 30\n");
  CHECK(sample(from, "phi_events_stored_total") == 10);
  CHECK(sample(from, "phi_events_duplicate_total") == 5);
  CHECK(sample(from, "phi_events_spooled") == 4);
  CHECK(sample(from, "phi_events_set_aside") == 2);
  CHECK(sample(from, "phi_events_in_queue") == 6);
  CHECK(sample(from, "phi_ledger_balanced") == 1);
  --from.status->ledger->stored;
  CHECK(sample(from, "phi_ledger_balanced") == 0);
}

TEST_CASE("metrics: every row says its own number of a status that is known") {
  const std::map<std::string, double> known{
    {"phi_ingest_refusing", 1},
    {"phi_events_counted_as_other_total", 6},
    {"phi_identities_lost", 7},
    {"phi_queue_bytes", 512},
    {"phi_queue_oldest_age_seconds", 1.5},
    {"phi_queue_drain_events_per_second", 80},
    {"phi_queue_drain_seconds", 1.25},
    {"phi_store_batches_total", 9},
    {"phi_store_batch_events_total", 15},
    {R"(phi_commit_duration_seconds_bucket{le="0.001"})", 0},
    {R"(phi_commit_duration_seconds_bucket{le="0.0025"})", 1},
    {"phi_commit_duration_seconds_sum", 0.002},
    {"phi_flush_duration_seconds_sum", 0.03},
    {"phi_spool_batches", 3},
    {"phi_spool_events", 4},
    {"phi_spool_bytes", 900},
    {"phi_spool_set_aside_batches", 1},
    {"phi_spool_appended_events_total", 20},
    {"phi_spool_replayed_events_total", 16},
    {R"(phi_questions_answered_total{actor="reader"})", 11},
    {R"(phi_questions_answered_total{actor="inspector"})", 2},
    {R"(phi_questions_dropped_total{actor="reader"})", 1},
    {R"(phi_question_duration_seconds_sum{actor="reader"})", 0.003},
    {"phi_http_connections", 2},
    {"phi_http_requests_in_flight", 1},
    {R"(phi_http_requests_total{class="2xx"})", 7},
    {R"(phi_http_requests_total{class="4xx"})", 1},
    {R"(phi_http_requests_total{class="5xx"})", 1},
    {"phi_http_requests_refused_total", 1},
    {R"(phi_http_request_duration_seconds_sum{kind="ingest"})", 0.001},
    {R"(phi_http_request_duration_seconds_count{kind="question"})", 0},
    {"phi_http_connections_accepted_total", 5},
    {R"(phi_event_loop_silent_seconds{loop="2"})", 1.5},
    {R"(phi_event_loop_accepts{loop="1"})", 1},
    {R"(phi_event_loop_accepts{loop="2"})", 0},
    {R"(phi_actor_up{actor="stats"})", 1},
    {R"(phi_actor_up{actor="admin"})", 0},
    {R"(phi_actor_responding{actor="admin"})", 0},
    {R"(phi_actor_restarts_total{actor="admin"})", 2},
    {R"(phi_actor_mailbox_messages{actor="stats"})", 4},
    {R"(phi_actor_progress_total{actor="stats"})", 90},
    {R"(phi_actor_degraded{actor="stats"})", 1},
    {R"(phi_actor_degraded{actor="store"})", 0},
    {R"(phi_actor_wait_seconds{actor="stats",for="actor"})", 0.25},
    {R"(phi_actor_wait_seconds{actor="stats",for="client"})", 0},
    {"phi_maintenance_steps_total", 8},
    {"phi_maintenance_leads", 1},
    {"phi_maintenance_uncounted_bytes", 77},
    {"phi_membership_beats_total", 40},
    {"phi_watchdog_rounds_total", 12},
    {"phi_watchdog_late_actors", 1},
    {"phi_signals_total", 1},
    {R"(phi_build_info{version=")" PHI_VERSION R"(",storage="postgres"})", 1},
    {R"(phi_state{state="ready"})", 1},
    {R"(phi_state{state="stopping"})", 0},
    {"phi_supervisor_responding", 1},
    {"phi_health_degraded", 1},
    {"phi_health_causes", 1},
    {R"(phi_reloads_total{result="accepted"})", 3},
    {R"(phi_reloads_total{result="refused"})", 1},
    {"phi_last_run_crashed", 0},
    {"phi_last_stop_exit_status", 81},
    {"phi_last_stop_duration_seconds", 30.5},
    {"phi_last_stop_timestamp_seconds", 2},
    {"process_start_time_seconds", 1.5},
    {"process_cpu_seconds_total", 0.25},
    {"process_resident_memory_bytes", 4096},
    {"process_virtual_memory_bytes", 8192},
    {"process_threads", 9},
    {"process_open_fds", 12},
    {"process_max_fds", 1024},
  };
  auto read = read_metrics(write_metrics(whole(), metrics_format::prometheus));
  for (const auto& row : known) {
    CAPTURE(row.first);
    REQUIRE(read.samples.contains(row.first));
    CHECK(read.samples.at(row.first) == doctest::Approx(row.second));
  }
}

TEST_CASE(
  "metrics: both formats are valid and say the same; of what nobody knows nothing is said") {
  auto silent = whole();
  silent.status.reset();
  auto embedded = whole();
  std::erase_if(embedded.status->children,
                [](const auto& child) { return child.actor == "spool" || child.actor == "store"; });
  embedded.life.last.reset();
  for (const auto& from :
       {whole(), silent, embedded, metrics_source{.settings = whole().settings}}) {
    auto old = read_metrics(write_metrics(from, metrics_format::prometheus));
    auto open = read_open_metrics(write_metrics(from, metrics_format::open_metrics));
    CHECK(old.faults == std::vector<std::string>{});
    CHECK(open.faults == std::vector<std::string>{});
    CHECK(old.names() == open.names());
    CHECK(old.samples.size() == open.samples.size());
  }
  CHECK(sample(silent, "phi_supervisor_responding") == 0);
  CHECK(family(silent, "phi_events_received_total").empty());
  CHECK(family(silent, "phi_http_connections").ends_with("\nphi_http_connections 2\n"));
  CHECK(family(embedded, "phi_spool_bytes").empty());
  CHECK(family(embedded, "phi_spool_limit_bytes").empty());
  CHECK(family(embedded, "phi_last_run_crashed").empty());
  auto crashed = whole();
  crashed.life.last = last_stop{.crashed = true, .at_us = 3'000'000};
  CHECK(sample(crashed, "phi_last_run_crashed") == 1);
  CHECK(family(crashed, "phi_last_stop_exit_status").empty());
  CHECK(sample(crashed, "phi_last_stop_timestamp_seconds") == 3);
}

TEST_CASE("metrics: clients and words of the database become no labels") {
  auto from = whole();
  from.status->children[0].waits = {{"client 192.0.2.1:4", 2s, wait_kind::client},
                                    {"client 192.0.2.2:5", 3s, wait_kind::client}};
  auto before = read_metrics(write_metrics(whole(), metrics_format::prometheus)).samples.size();
  auto text = write_metrics(from, metrics_format::prometheus);
  CHECK(read_metrics(text).samples.size() == before);
  CHECK(sample(from, R"(phi_actor_wait_seconds{actor="http",for="client"})") == 3);
  CHECK(text.find("192.0.2") == text.npos);
  CHECK(text.find("words") == text.npos);
}

TEST_CASE("metrics: rules and dashboard ask for what there is, and their README names them all") {
  auto names = read_metrics(write_metrics(whole(), metrics_format::prometheus)).names();
  names.insert("up"); // Prometheus' own
  const std::regex metric{R"(\b(phi|process)_[a-z0-9_]+\b)"};
  for (const std::string file :
       {"deploy/monitoring/phi-backend.rules.yml", "deploy/monitoring/phi-backend.rules.test.yml",
        "deploy/monitoring/phi-backend.dashboard.json"}) {
    CAPTURE(file);
    auto text = read_source(file);
    int found = 0;
    for (std::sregex_iterator at{text.begin(), text.end(), metric}, end; at != end; ++at, ++found)
      CHECK_MESSAGE(names.contains(at->str()), at->str());
    CHECK(found > 10);
    CHECK(read_source("deploy/README.md").find(file.substr(file.rfind('/') + 1))
          != std::string::npos);
  }
}
