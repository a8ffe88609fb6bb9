// The membership on virtual time, with a database that only says what it is told to.

#include "actors/membership.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/quiet_child.hpp"
#include "tests/support/quiet_supervisor.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

class told_database : public cluster_port {
public:
  void watched_by(work_watch_ptr by) override { watch = std::move(by); }
  result<heard> beat(const report& report) override {
    beats.push_back(report);
    return says;
  }
  query_answer answer(const cluster_task&) override { return {}; }
  void apply_settings(const config&) override {}
  void leave() override {}

  result<heard> says = heard{.leads = true};
  std::vector<report> beats;
  work_watch_ptr watch;
};

using told_to_lead = std::shared_ptr<std::vector<bool>>;

maintenance_actor::behavior_type deaf_maintenance(told_to_lead told) {
  return quiet_child<maintenance_actor>([](atom::tick) {}, [](atom::check) {},
                                        [told](atom::lead, bool leads) { told->push_back(leads); });
}

struct membership_fixture {
  membership_fixture() {
    auto supervisor = on.keep(on.system.spawn(quiet_supervisor, heard));
    maintenance = on.keep(on.system.spawn(deaf_maintenance, told));
    membership = on.keep(on.system.spawn(
      membership_behavior, child_identity{actor_name::membership, supervisor, seen_at}, database,
      [this] { return maintenance; }));
  }
  virtual_system on;
  activity_ptr seen_at = std::make_shared<activity>();
  std::shared_ptr<heard_by_supervisor> heard = std::make_shared<heard_by_supervisor>();
  std::shared_ptr<told_database> database = std::make_shared<told_database>();
  told_to_lead told = std::make_shared<std::vector<bool>>();
  maintenance_actor maintenance;
  membership_actor membership;
};

} // namespace

TEST_CASE("membership: whose duty the maintenance is, is told with every sign of life; without one "
          "it is nobody's here") {
  recorded_log log;
  membership_fixture b;
  b.on.advance(5s, 100ms);
  CHECK(*b.told == std::vector<bool>{true, true, true});
  b.database->says = outcome::failure("the clock of this machine says 2027");
  b.on.advance(4s, 100ms);
  CHECK(*b.told == std::vector<bool>{true, true, true, false, false});
  CHECK(log.count("the clock of this machine says 2027") == 1); // once, not with every beat
  b.maintenance = nullptr;                                      // it is being restarted
  b.on.advance(4s, 100ms);
  CHECK(b.told->size() == 5);
  CHECK(b.database->beats.size() == 7);
}

TEST_CASE("membership: what another instance asks for is done once") {
  recorded_log log;
  membership_fixture b;
  b.database->says = cluster_port::heard{.wanted = instance_wish::drain};
  b.on.advance(5s, 100ms);
  CHECK(b.heard->lame_duck == std::vector<bool>{true});
  b.database->says = cluster_port::heard{.wanted = instance_wish::ready};
  b.on.advance(5s, 100ms);
  CHECK(b.heard->lame_duck == std::vector<bool>{true, false});
}

TEST_CASE("membership: others learn what waits in the spool, and whether anything is committed") {
  recorded_log log;
  membership_fixture b;
  b.heard->status = {.state = service_state::ready, .ledger = ledger_counts{.stored = 3}};
  b.on.advance(1s, 100ms);
  b.heard->status.ledger->spooled = 7;
  b.on.advance(2s, 100ms);
  b.heard->status.ledger->duplicates = 1;
  b.on.advance(2s, 100ms);
  REQUIRE(b.database->beats.size() == 3);
  CHECK(b.database->beats[0].state == service_state::ready);
  CHECK(b.database->beats[0].committed);
  CHECK_FALSE(b.database->beats[1].committed);
  CHECK(b.database->beats[1].spooled == 7);
  CHECK(b.database->beats[2].committed);
}

TEST_CASE("membership: whatever takes long shows that it gets on, and hears of a stop") {
  membership_fixture b;
  b.on.run();
  REQUIRE(b.database->watch);
  auto before = b.seen_at->progress();
  CHECK(b.database->watch->check() == end_cause::none);
  CHECK(b.seen_at->progress() == before + 1);
  b.seen_at->press(urge::stop);
  CHECK(b.database->watch->check() == end_cause::stopping);
}
