// The health of the whole: what is seen of the parts, and what is said of it.

#include "actors/health_board.hpp"
#include "actors/health_causes.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
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

TEST_CASE("of causes that come and go the first one's time counts, until all are over") {
  health_changes changes;
  time_point now{};
  auto view = [](std::vector<std::string> who) {
    health_view out;
    for (auto& name : who)
      out.causes.push_back({std::move(name), cause_kind::degraded, "why"});
    return out;
  };
  auto begun = [](const health_changes::told& told) { return texts_of(told.begun, true); };
  using texts = std::vector<std::string>;
  CHECK(begun(changes.compare(view({"store", "http"}), now)) == texts{"store: why", "http: why"});
  auto other = changes.compare(view({"stats"}), now + 10s); // two have gone, one has come
  CHECK(begun(other) == texts{"stats: why"});
  CHECK_FALSE(other.over);
  CHECK(begun(changes.compare(view({"stats", "store"}), now + 11s)) == texts{"store: why"});
  CHECK(changes.compare({}, now + 12s).lasted == 12s);
  CHECK(begun(changes.compare(view({"store"}), now + 60s)) == texts{"store: why"}); // anew
  auto last = changes.compare({}, now + 61s);
  CHECK(last.over);
  CHECK(last.lasted == 1s);
}

TEST_CASE("without a word of the supervisor only who is silent is known") {
  auto signs = well();
  signs.status.reset();
  signs.late.push_back(silent("store"));
  signs.outside = {{"event loop 1", 5s, "", false}};
  auto view = judge(signs);
  CHECK(view.short_text()
        == "store: has not answered for 6.0 s; event loop 1: has not answered for 5.0 s");
  CHECK_FALSE(view.refuses_events); // that would be a guess
}

TEST_CASE("events are refused while stats is not there to take them") {
  for (auto state : {actor_state::starting, actor_state::restarting, actor_state::gone}) {
    auto signs = well();
    signs.status->children[1] = child("stats", "", state);
    CHECK(judge(signs).refuses_events);
  }
  auto signs = well();
  signs.late.push_back(silent("stats"));
  CHECK(judge(signs).refuses_events);
  signs = well();
  signs.status->state = service_state::lame_duck; // it works all the same
  signs.late.push_back(silent("reader"));
  CHECK(judge(signs).short_text() == "reader: has not answered for 6.0 s");
  CHECK_FALSE(judge(signs).refuses_events);
}

TEST_CASE("who says of itself that it is degraded, and not of what kind, is degraded to others") {
  actor_status status{.actor = "store", .degraded = "words of db.internal"};
  CHECK(cause_of(status).why == "words of db.internal");
  CHECK(cause_of(status).why_in_short == "is degraded");
  CHECK(cause_of(status).code == ailment::none);
}
