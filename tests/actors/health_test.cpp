// The health of the whole: what is seen of the parts, and what is said of it.

#include "actors/health_board.hpp"
#include "actors/health_causes.hpp"
#include "actors/questions.hpp"
#include "actors/reader.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/replies.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

child_status child(const std::string& name, const std::string& degraded = "",
                   actor_state state = actor_state::running) {
  return {.actor = name, .state = state, .says = actor_status{.actor = name, .degraded = degraded}};
}

health_signs well() {
  return {.status = service_status{.state = service_state::ready,
                                   .children = {child("http"), child("stats"), child("store")}},
          .patience = 5s};
}

std::pair<health_quorum::late_member, std::string> silent(const std::string& name) {
  return {{name, 6s, {}, false}, "COMMIT for 6.0 s"};
}

} // namespace

TEST_CASE("a service whose parts are all well is not degraded") {
  auto view = judge(well());
  CHECK(view.causes.empty());
  CHECK_FALSE(view.refuses_events);
}

TEST_CASE("each part that ails is named with its cause, the others are not") {
  auto signs = well();
  SUBCASE("an actor says so") {
    signs.status->children[2] = child("store", "the database file has been moved away");
    CHECK(judge(signs).text() == "store: the database file has been moved away");
    CHECK_FALSE(judge(signs).refuses_events); // stats knows, and says it by its gauge
  }
  SUBCASE("an actor is being restarted") {
    signs.status->children[0] = child("http", "", actor_state::restarting);
    CHECK(judge(signs).text() == "http: is restarting");
    CHECK_FALSE(judge(signs).refuses_events);
  }
  SUBCASE("the store is silent: events wait in vain, unless there is a spool") {
    signs.late.push_back(silent("store"));
    CHECK(judge(signs).text() == "store: has not answered for 6.0 s (COMMIT for 6.0 s)");
    CHECK(judge(signs).refuses_events);
    signs.status->children.push_back(child("spool"));
    CHECK_FALSE(judge(signs).refuses_events);
    signs.late.push_back(silent("spool"));
    CHECK(judge(signs).refuses_events);
  }
  SUBCASE("stats refuses") {
    signs.status->children[1].says->gauges = {{gauge_name::refusing, 1}};
    CHECK(judge(signs).refuses_events);
    signs.status->children[1].says->gauges = {{gauge_name::refusing, 0}};
    CHECK_FALSE(judge(signs).refuses_events);
  }
  SUBCASE("an event loop is frozen, to the patience and not before") {
    signs.outside = {{"event loop 1", 4999ms, "", false}, {"public listener", 0s, "", false}};
    CHECK(judge(signs).causes.empty());
    signs.outside[0].silent = 5s;
    CHECK(judge(signs).text() == "event loop 1: has not answered for 5.0 s");
  }
  SUBCASE("the supervisor is silent") {
    signs.late.push_back({{"supervisor", 6s, {}, false}, "handling tick for 6.0 s"});
    CHECK(judge(signs).text()
          == "supervisor: has not answered for 6.0 s (handling tick for 6.0 s)");
  }
}

TEST_CASE("everybody is told the kind of a cause, operators the cause") {
  auto signs = well();
  signs.status->children[2] = child("store", "cannot open /var/lib/phi/phi.db on db.internal");
  signs.status->children[2].says->ails = "the database is not as it should be";
  signs.status->children[2].says->code = ailment::database_degraded;
  signs.status->children[1] = child("stats", "unexpected words of db.internal");
  signs.status->children[0] = child("http", "", actor_state::restarting);
  signs.late.push_back({{"membership", 6s, {}, false}, "connecting to db.internal:5432"});
  signs.outside = {{"public listener", 7s, "10.0.0.7:3939 does not accept connections", false,
                    part_name::public_listener}};
  auto view = judge(signs);
  CHECK(view.text()
        == "membership: has not answered for 6.0 s (connecting to db.internal:5432); http: is "
           "restarting; stats: unexpected words of db.internal; store: cannot open "
           "/var/lib/phi/phi.db on db.internal; public listener: has not answered for 7.0 s "
           "(10.0.0.7:3939 does not accept connections)");
  CHECK(
    view.short_text()
    == "membership: has not answered for 6.0 s; http: is restarting; stats: is degraded; store: "
       "the database is not as it should be; public listener: has not answered for 7.0 s");
  // Programs decide by codes.
  REQUIRE(view.causes.size() == 5);
  CHECK(view.causes[0].kind == cause_kind::silent);
  CHECK(view.causes[1].kind == cause_kind::not_running);
  CHECK(view.causes[3].kind == cause_kind::degraded);
  CHECK(view.causes[3].code == ailment::database_degraded);
  CHECK(view.causes[4].part == part_name::public_listener);
  health_board board{6s};
  board.write(view, time_point{});
  CHECK(board.read(time_point{} + 7s).short_text()
        == view.short_text() + "; watchdog: has not looked for 7.0 s");
}

TEST_CASE("while it starts or stops the service has other words than degraded") {
  auto signs = well();
  signs.late.push_back(silent("store"));
  for (auto state : {service_state::starting, service_state::stopping, service_state::stopped}) {
    signs.status->state = state;
    CHECK(judge(signs).causes.empty());
    CHECK_FALSE(judge(signs).refuses_events);
  }
}

TEST_CASE("a change of health is told once, when it begins and when all is over") {
  health_changes changes;
  time_point now{};
  CHECK(changes.compare({}, now).begun.empty());
  CHECK_FALSE(changes.compare({}, now).over);
  auto silent = [](std::string who, std::string why) {
    return health_cause{std::move(who), cause_kind::silent, std::move(why)};
  };
  auto first = changes.compare({{silent("store", "for 5.0 s")}}, now);
  CHECK(texts_of(first.begun, true) == std::vector<std::string>{"store: for 5.0 s"});
  CHECK(changes.compare({{silent("store", "for 6.0 s")}}, now + 1s).begun.empty());
  auto second =
    changes.compare({{silent("store", "for 7.0 s"), silent("membership", "away")}}, now + 2s);
  CHECK(texts_of(second.begun, true) == std::vector<std::string>{"membership: away"});
  CHECK_FALSE(changes.compare({{silent("membership", "away")}}, now + 3s).over);
  auto last = changes.compare({}, now + 4s);
  CHECK(last.over);
  CHECK(last.lasted == 4s);
  CHECK_FALSE(changes.compare({}, now + 5s).over);
}

TEST_CASE("nobody who looks is a cause of its own, but not before the first look or in a stop") {
  health_board board{6s};
  time_point now{};
  CHECK(board.read(now + 1h).causes.empty());
  board.write({{{"store", cause_kind::degraded, "away"}}, true}, now);
  CHECK(board.read(now + 5999ms).text() == "store: away");
  CHECK(board.read(now + 5999ms).refuses_events);
  CHECK(board.read(now + 6s).text() == "store: away; watchdog: has not looked for 6.0 s");
  board.rest();
  CHECK(board.read(now + 1h).causes.empty());
}

// -- questions ----------------------------------------------------------------------------------

namespace {

std::shared_ptr<question_duty> one_asks() {
  return std::make_shared<question_duty>(
    question_duty{query_reply{std::make_shared<deaf_replies>(), 0}, somebody()});
}

} // namespace

TEST_CASE("questions that wait are bounded; answered and abandoned ones do not count") {
  question_gate gate{3};
  std::vector<std::shared_ptr<question_duty>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(one_asks());
    CHECK(gate.admit(waiting.back()));
  }
  auto more = one_asks();
  CHECK_FALSE(gate.admit(more));
  *waiting[1]->asker_gone = true;
  CHECK(gate.admit(more));
  auto yet_more = one_asks();
  CHECK_FALSE(gate.admit(yet_more));
  waiting.clear();
  CHECK(gate.admit(yet_more));
}

TEST_CASE("the time of a question counts from when it was asked") {
  activity seen;
  auto question = one_asks();
  question->asked_at = clock::now() - 2s;
  CHECK(question_watch{seen, *question, false, 3s}.check() == end_cause::none);
  CHECK(question_watch{seen, *question, false, 2s}.check() == end_cause::out_of_time);
  CHECK(question_watch{seen, *one_asks(), true, 0s}.check() == end_cause::none);
  CHECK(seen.progress() == 3); // each look
}

TEST_CASE("an asker who has gone ends the work at once") {
  activity seen;
  auto question = one_asks();
  question_watch watch{seen, *question, false, 10s};
  CHECK(watch.check() == end_cause::none);
  *question->asker_gone = true;
  CHECK(watch.check() == end_cause::asker_gone);
}

TEST_CASE("a stop ends what takes long, lets a young question be answered, and then ends all") {
  activity seen;
  auto young = one_asks();
  auto old = one_asks();
  old->asked_at = clock::now() - 1001ms;
  auto check = one_asks();
  question_watch young_watch{seen, *young, false, 10s};
  question_watch old_watch{seen, *old, false, 10s};
  question_watch check_watch{seen, *check, true, 10s};
  CHECK(old_watch.check() == end_cause::none);
  seen.press(urge::stop);
  CHECK(young_watch.check() == end_cause::none);
  CHECK(old_watch.check() == end_cause::stopping);
  CHECK(check_watch.check() == end_cause::stopping);
  seen.press(urge::at_once);
  seen.press(urge::stop); // never taken back
  CHECK(young_watch.check() == end_cause::stopping);
  CHECK(ended_answer(end_cause::stopping).error == error_code::stopping);
  CHECK(ended_answer(end_cause::out_of_time).error == error_code::query_timeout);
}
