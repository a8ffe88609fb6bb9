// The way from the event loops to the actors, with actors that only listen.

#include "config/defaults.hpp"
#include "server/backend.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/quiet_child.hpp"
#include "tests/support/recorded_backend.hpp"
#include "tests/support/replies.hpp"
#include "tests/support/virtual_time.hpp"

#include <nlohmann/json.hpp>

#include <vector>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// What all actors have heard, and how many turns STATS had seen when it was asked how it is.
struct heard_by_actors : recorded_backend {
  std::vector<size_t> turns_before;
};

/// An actor that hears questions of one kind.
template <class Actor, class Question, class... Handlers>
typename Actor::behavior_type hears(std::shared_ptr<heard_by_actors> heard, Handlers... more) {
  return quiet_child<Actor>(
    [heard](atom::ask, const asked_ptr<Question>& question) { heard->ask(question); },
    std::move(more)...);
}

reader_actor::behavior_type reader(std::shared_ptr<heard_by_actors> heard) {
  return hears<reader_actor, reader_query>(std::move(heard));
}

inspector_actor::behavior_type inspector(std::shared_ptr<heard_by_actors> heard) {
  return hears<inspector_actor, inspection_task>(std::move(heard));
}

stats_actor::behavior_type stats(std::shared_ptr<heard_by_actors> heard) {
  return quiet_child<stats_actor>(
    [](atom::committed, const commit_result&) {}, [](atom::spooled, const spool_result&) {},
    [](atom::replayed, const replay_result&) {},
    [heard](atom::ingest, const ingest_turn_ptr& turn) { heard->submit(turn); },
    [](atom::attach, const store_actor&) {}, [](atom::attach, const spool_actor&) {},
    [heard](atom::ask, const asked_ptr<health_query>& question) {
      heard->turns_before.push_back(heard->turns.size());
      heard->ask(question);
    },
    [](atom::flush, uint64_t) {}, [](atom::overdue) {}, [](atom::drained) {});
}

spool_actor::behavior_type spool(std::shared_ptr<heard_by_actors> heard) {
  return hears<spool_actor, spool_task>(
    std::move(heard), [](atom::committed, const commit_result&) {},
    [](atom::append, const commit_batch_ptr&, const spool_listener_actor&) {},
    [](atom::attach, const store_actor&) {}, [](atom::attach, const spool_listener_actor&) {},
    [](atom::replay) {}, [](atom::check) {});
}

membership_actor::behavior_type membership(std::shared_ptr<heard_by_actors> heard) {
  return hears<membership_actor, cluster_task>(std::move(heard), [](atom::tick) {});
}

admin_actor::behavior_type admin(std::shared_ptr<heard_by_actors> heard) {
  return hears<admin_actor, service_query>(std::move(heard),
                                           [](atom::command, const admin_request_ptr&) {});
}

struct backend_fixture {
  ~backend_fixture() { actors->clear(); }

  void start(bool with_postgres = true) {
    put(stats);
    put(reader);
    put(inspector);
    put(admin);
    if (with_postgres) {
      put(spool);
      put(membership);
    }
  }

  template <class Question>
  void ask(ticket to, Question question) {
    way.ask(std::make_shared<asked<Question>>(std::move(question), query_reply{replies, to}));
    on.run();
  }

  /// Asks as many as may wait.
  void fill() {
    for (ticket to = 1; to <= defaults::questions_waiting; ++to)
      ask(to, reader_query{cluster_query{}});
  }

  template <class Behavior>
  void put(Behavior behavior) {
    actors->set(on.keep(on.system.spawn(behavior, heard)));
  }

  virtual_system on;
  std::shared_ptr<heard_by_actors> heard = std::make_shared<heard_by_actors>();
  std::shared_ptr<recorded_replies> replies = std::make_shared<recorded_replies>();
  std::shared_ptr<current_actors> actors = std::make_shared<current_actors>();
  health_board board{6s};
  backend way{actors, &board};
};

health_cause silent(const char* who) {
  return {who, cause_kind::silent, "in full", "in short"};
}

} // namespace

TEST_CASE("backend: events and questions go to the actor that is there for them") {
  backend_fixture at;
  at.start();
  at.way.submit(std::make_shared<ingest_turn>(at.replies));
  at.ask(1, reader_query{cluster_query{}});
  at.ask(2, inspection_task{verify_task{}});
  at.ask(3, spool_task{spool_requeue{}});
  at.ask(4, cluster_task{take_restart_slot{}});
  at.ask(5, health_query{.in_full = true});
  CHECK(at.heard->turns.size() == 1);
  CHECK(at.heard->questions.size() == 1);
  CHECK(at.heard->inspections.size() == 1);
  CHECK(at.heard->spool_tasks.size() == 1);
  CHECK(at.heard->cluster_tasks.size() == 1);
  REQUIRE(at.heard->healths.size() == 1);
  CHECK(at.heard->healths[0]->question.in_full);
  at.ask(6, service_query{metrics_query{metrics_format::open_metrics}});
  REQUIRE(at.heard->service_questions.size() == 1);
  CHECK(std::get<metrics_query>(at.heard->service_questions[0]->question).format
        == metrics_format::open_metrics);
  CHECK(at.replies->answers.empty()); // that is theirs to do
}

TEST_CASE("backend: what only PostgreSQL has is refused without it, in words") {
  backend_fixture at;
  at.start(false);
  at.ask(1, spool_task{spool_show{}});
  at.ask(2, cluster_task{take_restart_slot{}});
  CHECK(at.replies->answers.at(1).error == error_code::invalid_query);
  CHECK(at.replies->answers.at(1).detail
        == "there is no spool: it takes events only while PostgreSQL is away (stats.storage,"
           " spool.enabled)");
  CHECK(at.replies->answers.at(2).error == error_code::invalid_query);
  CHECK(at.replies->answers.at(2).detail
        == "this instance is alone: several share one database with stats.storage = \"postgres\"");
  CHECK_FALSE(at.replies->twice);
}

TEST_CASE("backend: with nobody there any more everybody is told that the service stops") {
  backend_fixture at;
  auto turn = std::make_shared<ingest_turn>(at.replies);
  turn->requests.push_back({.to = 7});
  at.way.submit(std::move(turn));
  at.ask(1, reader_query{cluster_query{}});
  at.ask(2, inspection_task{verify_task{}});
  at.ask(3, health_query{});
  CHECK(at.replies->outcomes.at(7).error == error_code::stopping);
  for (ticket to : {1, 2, 3})
    CHECK(at.replies->answers.at(to).error == error_code::stopping);
  CHECK_FALSE(at.replies->twice);
}

TEST_CASE("backend: questions that wait are bounded, of both kinds together, and others are not") {
  backend_fixture at;
  at.start();
  at.fill();
  at.ask(1001, inspection_task{verify_task{}});
  at.ask(1002, reader_query{cluster_query{}});
  for (ticket to : {1001, 1002}) {
    CHECK(at.replies->answers.at(to).error == error_code::too_many_questions);
    CHECK(at.replies->answers.at(to).detail
          == std::to_string(defaults::questions_waiting)
               + " questions wait already; ask again later");
  }
  at.ask(1003, spool_task{spool_show{}});
  at.ask(1004, cluster_task{take_restart_slot{}});
  at.ask(1005, health_query{});
  CHECK(at.replies->answers.size() == 2);
  CHECK(at.heard->questions.size() == defaults::questions_waiting);
  at.heard->questions.pop_back(); // one is answered
  at.ask(1006, reader_query{cluster_query{}});
  at.ask(1007, inspection_task{verify_task{}});
  CHECK(at.heard->questions.size() == defaults::questions_waiting);
  CHECK(at.heard->inspections.empty());
}

TEST_CASE("backend: how the service is comes ahead of the events that wait, with what ails it") {
  backend_fixture at;
  at.start();
  at.board.write({{silent(actor_name::store)}, true}, clock::now());
  for (int i = 0; i < 3; ++i)
    at.way.submit(std::make_shared<ingest_turn>(at.replies));
  at.ask(1, health_query{});
  CHECK(at.heard->turns_before == std::vector<size_t>{0});
  CHECK(at.heard->turns.size() == 3);
  CHECK(texts_of(at.heard->healths.at(0)->question.causes, true)
        == std::vector<std::string>{"store: in full"});
  CHECK(at.way.health().refuses_events);
  CHECK(backend{at.actors, nullptr}.health().causes.empty()); // where nobody looks
}

TEST_CASE("backend: of an account that cannot be had the rest is told without it") {
  backend_fixture at;
  at.start();
  auto causes = [&](ticket to) {
    auto body = nlohmann::json::parse(at.replies->answers.at(to).body);
    CHECK(body["status"] == "degraded");
    CHECK_FALSE(body.contains("ledger"));
    return body["causes"].get<std::vector<std::string>>();
  };
  at.board.write({{silent(actor_name::store), silent(actor_name::stats)}}, clock::now());
  at.ask(1, health_query{});
  at.ask(2, health_query{.in_full = true});
  CHECK(causes(1) == std::vector<std::string>{"store: in short", "stats: in short"});
  CHECK(causes(2) == std::vector<std::string>{"store: in full", "stats: in full"});
  auto restarting = silent(actor_name::stats);
  restarting.kind = cause_kind::not_running;
  at.board.write({{restarting}}, clock::now());
  at.ask(3, health_query{});
  CHECK(causes(3) == std::vector<std::string>{"stats: in short"});
  CHECK(at.heard->healths.empty());
  auto ails = silent(actor_name::stats);
  ails.kind = cause_kind::degraded; // it answers, and says so itself
  at.board.write({{ails}}, clock::now());
  at.ask(4, health_query{});
  CHECK(at.heard->healths.size() == 1);
}
