// The watchdog on virtual time, with a process that only writes down what it is told.

#include "actors/watchdog.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/quiet_supervisor.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Answers pings unless it is frozen.
child_actor::behavior_type freezing_member(child_actor::pointer self,
                                           std::shared_ptr<bool> frozen) {
  return {
    [](atom::stop, const stop_order&) {},
    [](atom::release, const release_order&) {},
    [self, frozen](atom::ping) -> caf::result<pong> {
      if (*frozen)
        return self->make_response_promise<pong>();
      return pong{};
    },
    [](atom::status) { return actor_status{}; },
    [](atom::apply, const config_ptr&) { return pong{}; },
  };
}

class recorded_watch : public watch_port {
public:
  std::optional<duration> manager_limit() const override { return limit; }
  void beat() override { ++beats; }
  void show_late(const std::string& text) override { late = text; }
  void give_up(const std::string& actor) override { given_up.push_back(actor); }
  std::optional<thread_times> times_of(int) const override { return thread_times{{}, waited}; }
  duration suspended() const override { return asleep; }
  std::vector<outside_part> inspect_parts() override { return outside; }
  void show_health(const health_view& now) override { health = now; }
  void rest() override { resting = true; }

  std::optional<duration> limit;
  size_t beats = 0;
  std::string late;
  std::vector<std::string> given_up;
  duration waited{};
  duration asleep{};
  std::vector<outside_part> outside;
  health_view health;
  bool resting = false;
};

/// A watchdog over one member, "store", and a supervisor that always answers.
struct kennel {
  explicit kennel(watchdog_settings with = {true, 10s, 60s}) {
    heard->status.state = service_state::ready;
    heard->status.children = {
      {.actor = "store", .state = actor_state::running, .says = actor_status{}}};
    supervisor = on.keep(on.system.spawn(quiet_supervisor, heard));
    member = on.keep(on.system.spawn(freezing_member, frozen));
    dog = on.keep(on.system.spawn(
      watchdog_behavior, child_identity{"watchdog", supervisor, std::make_shared<activity>()}, with,
      watch_port_ptr{watch},
      std::map<std::string, activity_ptr>{{"store", seen_at},
                                          {"supervisor", std::make_shared<activity>()}}));
    tell_from_outside(dog, atom::attach_v, std::string{"store"}, pingable_actor{member});
    tell_from_outside(dog, atom::attach_v, std::string{"supervisor"}, pingable_actor{supervisor});
  }

  recorded_log log;
  virtual_system on;
  std::shared_ptr<recorded_watch> watch = std::make_shared<recorded_watch>();
  std::shared_ptr<heard_by_supervisor> heard = std::make_shared<heard_by_supervisor>();
  std::shared_ptr<bool> frozen = std::make_shared<bool>(false);
  activity_ptr seen_at = std::make_shared<activity>();
  supervisor_actor supervisor;
  child_actor member;
  watchdog_actor dog;
};

} // namespace

TEST_CASE("flaw 6: a frozen actor stops the heartbeat, is named, and the process is given up") {
  kennel k;
  k.on.advance(120s, 100ms);
  CHECK_FALSE(k.log.contains("misses an answer"));
  CHECK(k.watch->beats >= 11);
  CHECK(k.watch->late == "");
  *k.frozen = true;
  k.seen_at->begin("COMMIT");
  k.on.advance(11s, 100ms); // its last answer may still be on the way into this round
  auto beats = k.watch->beats;
  k.on.advance(15s, 100ms);
  CHECK(k.watch->beats == beats);
  CHECK(k.log.contains("late=store"));
  CHECK(k.watch->late.find("store has not answered for") == 0);
  CHECK(k.watch->late.find("COMMIT") != std::string::npos);
  CHECK(k.watch->given_up.empty());
  k.on.advance(60s, 100ms);
  REQUIRE(k.watch->given_up.size() == 1); // once an incident
  CHECK(k.watch->given_up[0] == "store");
  CHECK(k.log.contains("dumps an actor"));
}

TEST_CASE("progress counts as an answer: the heartbeat goes on") {
  kennel k;
  k.on.advance(15s, 100ms);
  *k.frozen = true;
  auto beats = k.watch->beats;
  for (int i = 0; i < 12; ++i) {
    k.seen_at->end(k.seen_at->begin("COMMIT"));
    k.on.advance(10s, 100ms);
  }
  CHECK(k.watch->beats >= beats + 11);
  CHECK_FALSE(k.log.contains("misses an answer"));
  CHECK(k.watch->given_up.empty());
}

TEST_CASE("an actor that lacks a processor is excused, one that has it is not") {
  kennel k;
  k.on.advance(15s, 100ms);
  *k.frozen = true;
  auto beats = k.watch->beats;
  for (int i = 0; i < 12; ++i) { // starved: it waits nine tenths of the time
    k.watch->waited += 9500ms;
    k.on.advance(10s, 100ms);
  }
  CHECK(k.watch->given_up.empty());
  CHECK(k.watch->beats >= beats + 11);
  k.on.advance(80s, 100ms); // now it has processors and still says nothing
  CHECK(k.watch->given_up.size() == 1);
}

TEST_CASE("an actor that answers again is no longer shown, and may be given up another time") {
  kennel k;
  k.on.advance(15s, 100ms);
  *k.frozen = true;
  k.on.advance(25s, 100ms);
  CHECK(k.watch->late != "");
  k.seen_at->end(k.seen_at->begin("COMMIT"));
  k.on.advance(10s, 100ms);
  CHECK(k.watch->late == "");
  k.on.advance(100s, 100ms);
  CHECK(k.watch->given_up.size() == 1);
}

TEST_CASE("the last chance is one: who answers or makes progress during the dump is let be") {
  kennel k;
  k.on.advance(15s, 100ms);
  auto until_dump = [&] {
    return k.on.advance_until([&] { return k.log.contains("finds an actor stuck"); }, 90s, 100ms);
  };
  *k.frozen = true;
  REQUIRE(until_dump());
  SUBCASE("it makes progress, and is given up another time") {
    k.seen_at->end(k.seen_at->begin("COMMIT"));
    k.on.advance(1s, 100ms);
    CHECK(k.watch->given_up.empty());
    CHECK(k.log.contains("lets an actor be that has answered in time"));
    k.on.advance(80s, 100ms);
    CHECK(k.watch->given_up == std::vector<std::string>{"store"});
  }
  SUBCASE("it says nothing") {
    k.on.advance(500ms, 100ms);
    CHECK(k.watch->given_up == std::vector<std::string>{"store"});
    CHECK_FALSE(k.log.contains("lets an actor be"));
  }
}

TEST_CASE("an event loop that turns again during the dump is let be") {
  kennel k;
  k.watch->outside = {{"event loop 1", 60s, "", false}};
  REQUIRE(k.on.advance_until([&] { return k.log.contains("finds an actor stuck"); }, 30s, 100ms));
  k.watch->outside[0].silent = 0s;
  k.on.advance(500ms, 100ms);
  CHECK(k.watch->given_up.empty());
  CHECK(k.log.contains("lets an actor be"));
}

TEST_CASE("a process that stood still blames nobody; a suspended machine is noticed") {
  kennel k;
  k.on.advance(25s, 100ms);
  k.on.scheduler().clock().current_time += 300s; // nothing ran meanwhile
  k.watch->asleep += 200s;
  k.on.advance(20s, 100ms);
  CHECK(k.log.contains("stood still"));
  CHECK(k.log.contains("was suspended"));
  CHECK(k.watch->given_up.empty());
  CHECK_FALSE(k.log.contains("misses an answer"));
}

TEST_CASE("the service manager's limit switches the watchdog on and bounds its times") {
  config settings;
  CHECK_FALSE(watchdog_settings_of(settings, std::nullopt).enabled);
  auto with = watchdog_settings_of(settings, duration{20s});
  CHECK(with.enabled);
  CHECK(with.interval == duration{5s});
  CHECK(with.limit < duration{20s} - with.interval);
  settings.shutdown.watchdog.interval_secs = 1; // a tighter one stays
  settings.shutdown.watchdog.timeout_secs = 3;
  with = watchdog_settings_of(settings, duration{20s});
  CHECK(with.interval == duration{1s});
  CHECK(with.limit == duration{3s});
}

TEST_CASE("new settings take effect: off, on, another interval") {
  kennel k;
  auto apply_settings = [&](bool enabled, int64_t interval) {
    auto next = std::make_shared<config>();
    next->shutdown.watchdog.enabled = enabled;
    next->shutdown.watchdog.interval_secs = interval;
    tell_from_outside(k.dog, atom::apply_v, config_ptr{next});
    k.on.run();
  };
  k.on.advance(35s, 100ms);
  CHECK(k.watch->beats >= 3);
  apply_settings(false, 10);
  auto beats = k.watch->beats;
  k.on.advance(60s, 100ms);
  CHECK(k.watch->beats == beats);
  apply_settings(true, 2);
  k.on.advance(21s, 100ms);
  CHECK(k.watch->beats >= beats + 9);
}

TEST_CASE("a frozen event loop is named, degrades the service, and is given up at the limit") {
  kennel k;
  k.watch->outside = {{"event loop 1", 0s, "", false}, {"public listener", 0s, "", false}};
  k.on.advance(30s, 100ms);
  CHECK(k.watch->health.causes.empty());
  auto beats = k.watch->beats;
  for (int i = 0; i < 59; ++i) {
    k.watch->outside[0].silent = i * 1s;
    k.on.advance(1s, 100ms);
  }
  CHECK(k.watch->beats <= beats + 1); // the one that was due while it was not yet late
  CHECK(k.watch->health.text() == "event loop 1: has not answered for 58.0 s");
  CHECK(k.log.contains("finds the service degraded"));
  CHECK(k.watch->late.find("event loop 1 has not answered for") == 0);
  CHECK(k.watch->given_up.empty());
  k.watch->outside[0].silent = 60s;
  k.on.advance(12s, 100ms);
  CHECK(k.watch->given_up == std::vector<std::string>{"event loop 1"});
  k.watch->outside[0].silent = 0s;
  k.on.advance(2s, 100ms);
  CHECK(k.watch->health.causes.empty());
  CHECK(k.log.contains("finds the service well again"));
}

TEST_CASE("a listener whose connections are all taken is shown, and nobody is given up for it") {
  kennel k;
  k.watch->outside = {{"public listener", 200s, "all 4096 connections are taken", true}};
  k.on.advance(200s, 100ms);
  CHECK(k.watch->health.text()
        == "public listener: has not answered for 200.0 s (all 4096 connections are taken)");
  CHECK(k.watch->given_up.empty());
  CHECK(k.watch->beats >= 19);
}

TEST_CASE("health is looked at although the watchdog is off; who makes progress is well") {
  kennel k{{false, 10s, 60s}};
  k.heard->status.children = {
    {.actor = "store", .state = actor_state::running}}; // it does not say anything
  k.seen_at->begin("COMMIT");
  k.on.advance(4s, 100ms);
  CHECK(k.watch->health.causes.empty());
  k.seen_at->check(); // waits for somebody, and looks
  k.on.advance(5s, 100ms);
  CHECK(k.watch->health.causes.empty());
  k.on.advance(3s, 100ms);
  REQUIRE(k.watch->health.causes.size() == 1);
  CHECK(k.watch->health.causes[0].text(true).find("store: has not answered for ") == 0);
  CHECK(k.watch->health.refuses_events);
  CHECK(k.watch->beats == 0);
  k.heard->status.children[0].says = actor_status{};
  k.on.advance(2s, 100ms);
  CHECK(k.watch->health.causes.empty());
  CHECK_FALSE(k.watch->health.refuses_events);
}

TEST_CASE("in a stop nobody is looked at") {
  kennel k;
  k.watch->outside = {{"event loop 1", 100s, "", false}};
  tell_from_outside(k.dog, atom::stop_v, stop_order{});
  k.on.advance(10s, 100ms);
  CHECK(k.watch->resting);
  CHECK(k.watch->health.causes.empty());
}
