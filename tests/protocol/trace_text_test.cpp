// What a trace tells of a message: in a few words, and of users nothing that was not asked for.

#include "config/config.hpp"
#include "protocol/trace_text.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/replies.hpp"

using namespace phi;
using phi::testing::deaf_replies;
using namespace std::chrono_literals;

namespace {

/// With data of users, or without, for a while.
struct showing_user_data {
  explicit showing_user_data(bool yes) { set_tracing(nullptr, yes); }
  ~showing_user_data() { set_tracing(nullptr); }
};

template <class Question, class Asked>
std::string text_of(Asked question) {
  return trace_text(std::make_shared<asked<Question>>(
    std::move(question), query_reply{std::make_shared<deaf_replies>(), 1}));
}

ingest_turn_ptr turn_of(std::vector<std::vector<event>> requests) {
  auto out = std::make_shared<ingest_turn>(std::make_shared<deaf_replies>());
  for (auto& events : requests)
    out->requests.push_back({.events = std::move(events)});
  return out;
}

admin_request_ptr line(const std::string& text) {
  return std::make_shared<admin_request>(admin_request{.line = text});
}

statistics_query about(const std::string& feature) {
  statistics_query out{.path = "/stats/daily"};
  if (!feature.empty())
    out.parameters.put("feature", feature);
  return out;
}

} // namespace

TEST_CASE("trace text: orders and reports") {
  CHECK(trace_text(stop_order{stop_mode::fast, stop_reason::terminate}) == "fast, terminate");
  CHECK(trace_text(release_order{stop_mode::immediate}) == "immediate");
  CHECK(trace_text(stop_mode::lame_duck) == "lame_duck");
  CHECK(trace_text(stop_reason::child_died) == "child_died");
  CHECK(trace_text(heard_signal{.kind = signal_kind::reload}) == "SIGHUP");
  stopped_report report{.actor = "store", .did = {{"commits", 2}, {"rows", 7}}};
  CHECK(trace_text(report) == "store, commits 2, rows 7");
  report.ended = outcome::failure("the disk is full");
  CHECK(trace_text(report) == "store, commits 2, rows 7, the disk is full");
  CHECK(trace_text(actor_status{.actor = "http", .doing = "idle"}) == "http: idle");
  CHECK(trace_text(service_status{.state = service_state::reloading}) == "reloading");
  CHECK(trace_text(pong{12}) == "12");
  CHECK(trace_text(std::make_shared<const config>()) == "settings");
}

TEST_CASE("trace text: a reload tells how many changes there are") {
  CHECK(trace_text(reload_report{}) == "0 changes");
  CHECK(trace_text(reload_report{.changed = {"a"}, .needs_restart = {"b", "c"}}) == "1 change");
  CHECK(trace_text(reload_report{.accepted = outcome::failure("no"), .changed = {"a"}})
        == "refused");
}

TEST_CASE("trace text: batches and what became of them") {
  auto batch = std::make_shared<commit_batch>();
  batch->number = 7;
  batch->events = 1;
  CHECK(trace_text(batch) == "batch 7, 1 event");
  batch->events = 20;
  CHECK(trace_text(batch) == "batch 7, 20 events");
  CHECK(trace_text(commit_result{.number = 7, .took = 1500us}) == "batch 7, none, 1500 us");
  CHECK(trace_text(commit_result{
          .number = 8, .error = error_code::store_unavailable, .detail = "db.internal"})
        == "batch 8, store_unavailable, 0 us");
  CHECK(trace_text(spool_result{.number = 9, .error = error_code::spool_full})
        == "batch 9, spool_full");
  CHECK(trace_text(replay_result{.recovered = 3, .stored = 1, .duplicates = 2})
        == "1 stored, 2 duplicates, 3 recovered");
}

TEST_CASE("trace text: events are counted, and shown only to who asked for data of users") {
  auto turn = turn_of(
    {{{.feature = "f1", .action = "a1", .route = "r1"}, {.feature = "f2"}}, {{.route = "/r3"}}});
  {
    showing_user_data no{false};
    CHECK(trace_text(turn) == "2 requests, 3 events");
    CHECK(trace_text(turn_of({{{.feature = "f"}}})) == "1 request, 1 event");
  }
  showing_user_data yes{true};
  CHECK(trace_text(turn) == "2 requests, 3 events; f1 a1 r1; f2  ;   /r3");
  auto many = turn_of({std::vector<event>(1000, event{.feature = std::string(100, 'x')})});
  CHECK(trace_text(many).size() < 600); // a trace is no copy of everything
}

TEST_CASE("trace text: what is asked, and about whom only for who asked for data of users") {
  for (bool yes : {false, true}) {
    showing_user_data wanted{yes};
    auto with = [&](const std::string& text) { return yes ? text + " about f" : text; };
    CHECK(text_of<reader_query>(about("f")) == with("/stats/daily"));
    CHECK(text_of<reader_query>(about("")) == "/stats/daily");
    CHECK(text_of<reader_query>(recent_events_query{.feature = "f"}) == with("latest events"));
    CHECK(text_of<reader_query>(recent_events_query{}) == "latest events");
    CHECK(text_of<reader_query>(cluster_query{}) == "instances");
  }
}

TEST_CASE("trace text: what operators ask for, each by its name") {
  CHECK(text_of<inspection_task>(verify_task{}) == "verify");
  CHECK(text_of<inspection_task>(backup_task{"/var/lib/phi/copy"}) == "backup");
  CHECK(text_of<spool_task>(spool_show{}) == "show");
  CHECK(text_of<spool_task>(spool_check{}) == "check");
  CHECK(text_of<spool_task>(spool_requeue{}) == "requeue");
  CHECK(text_of<cluster_task>(steer_instance{}) == "steer");
  CHECK(text_of<cluster_task>(forget_instance{}) == "forget");
  CHECK(text_of<cluster_task>(take_restart_slot{}) == "take the restart slot");
  CHECK(text_of<cluster_task>(give_restart_slot{}) == "give the restart slot");
}

TEST_CASE("trace text: a line of the admin socket may hold a secret") {
  auto secret = line(R"({"method":"ingest","params":{"user":"ada"}})");
  {
    showing_user_data no{false};
    CHECK(trace_text(secret) == "43 bytes");
    CHECK(trace_text(line("x")) == "1 byte");
  }
  showing_user_data yes{true};
  CHECK(trace_text(secret) == secret->line);
  CHECK(trace_text(line(std::string(401, 'x'))) == std::string(400, 'x'));
}

TEST_CASE("trace text: of anything else numbers, short texts, or nothing") {
  CHECK(trace_text_of(true) == "true");
  CHECK(trace_text_of(false) == "false");
  CHECK(trace_text_of(uint64_t{12}) == "12");
  CHECK(trace_text_of(-3) == "-3");
  CHECK(trace_text_of(std::string(81, 'x')) == std::string(80, 'x'));
  CHECK(trace_text_of(stop_mode::fast) == "fast");
  CHECK(trace_text_of(std::vector<int>{1}) == "");
}
