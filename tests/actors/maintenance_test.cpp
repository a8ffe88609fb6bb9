// The maintenance on virtual time, with a database that only says what it is told to.

#include "actors/maintenance.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/quiet_supervisor.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

#include <caf/scoped_actor.hpp>

#include <memory>
#include <string>
#include <vector>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

class told_database : public maintenance_port {
public:
  explicit told_database(virtual_system& on) : on_(on) {}
  done step() override {
    steps.push_back(on_.now());
    return says;
  }
  counted count() override {
    counts.push_back(on_.now());
    says_of_counting.more = left-- > 0;
    return says_of_counting;
  }
  void apply_settings(const config&) override {}
  void close() override { ++closed; }

  counted says_of_counting;
  int left = 0; ///< how often there is more to be counted
  std::vector<time_point> counts;
  done says;
  std::vector<time_point> steps;
  int closed = 0;

private:
  virtual_system& on_;
};

struct maintenance_fixture {
  maintenance_fixture() {
    auto supervisor =
      on.keep(on.system.spawn(quiet_supervisor, std::make_shared<heard_by_supervisor>()));
    maintenance = on.keep(on.system.spawn(
      maintenance_behavior,
      child_identity{actor_name::maintenance, supervisor, std::make_shared<activity>()}, database));
  }

  /// As the membership tells it.
  void lead_for(duration how_long, bool leads = true) {
    for (auto end = on.now() + how_long; on.now() < end; on.advance(2s, 100ms))
      tell_from_outside(maintenance, atom::lead_v, leads);
  }

  uint64_t gauge(std::string_view name) {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(maintenance, 1s, atom::status_v);
    on.run();
    uint64_t out = 0;
    pending.receive([&](const actor_status& status) { out = status.gauge(name); },
                    [](const caf::error&) { FAIL("no answer"); });
    return out;
  }

  virtual_system on;
  std::shared_ptr<told_database> database = std::make_shared<told_database>(on);
  maintenance_actor maintenance;
};

} // namespace

TEST_CASE("maintenance: what cannot be done is tried less and less often, and then as before") {
  recorded_log log;
  maintenance_fixture m;
  m.database->says = {.ended = outcome::failure("canceling statement due to lock timeout")};
  m.lead_for(3600s);
  const auto& steps = m.database->steps;
  REQUIRE(steps.size() > 6);
  CHECK(steps.size() < 15);
  for (size_t i = 1; i < steps.size(); ++i) {
    auto whole = std::min<duration>(10s * (1 << std::min<size_t>(i - 1, 6)), 600s);
    auto waited = steps[i] - steps[i - 1];
    CHECK(waited >= whole);
    CHECK(waited < whole + 3s); // the next look
  }
  // Something done and something not done at once is still not tried again every two seconds.
  m.database->says.did = "deleted 20000 old batches";
  auto before = steps.size();
  m.lead_for(1200s);
  CHECK(steps.size() <= before + 3);
  m.database->says = {.did = "deleted 20000 old batches"};
  m.lead_for(600s);
  before = steps.size();
  m.lead_for(60s);
  CHECK(steps.size() >= before + 14); // step after step while there is something to do
}

TEST_CASE("maintenance: only whose duty it is does it, and only while that is said again") {
  recorded_log log;
  maintenance_fixture m;
  m.database->says = {.did = "deleted 20000 old batches"};
  m.lead_for(60s, false);
  CHECK(m.database->steps.empty());
  m.lead_for(60s);
  CHECK(m.database->steps.size() >= 28);
  m.lead_for(2s, false);
  auto steps = m.database->steps.size();
  m.lead_for(60s, false);
  CHECK(m.database->steps.size() == steps);
  CHECK(m.database->closed == 1); // the connection is given back
  // Nobody says anything any more: another instance may have the duty by the end of its lease.
  m.lead_for(10s);
  m.on.advance(28s, 100ms);
  steps = m.database->steps.size();
  m.on.advance(300s, 100ms);
  CHECK(m.database->steps.size() <= steps + 1);
  CHECK(m.database->closed == 2);
  CHECK(log.count("takes over the maintenance") == 2);
  CHECK(log.count("leaves the maintenance") == 2);
}

TEST_CASE("maintenance: what deleted lines take is said while it is its duty") {
  maintenance_fixture m;
  m.database->says.uncounted_bytes = 12345;
  CHECK(m.gauge(gauge_name::uncounted_bytes) == 0);
  m.lead_for(4s);
  CHECK(m.gauge(gauge_name::uncounted_bytes) == 12345);
  m.lead_for(4s, false);
  CHECK(m.gauge(gauge_name::uncounted_bytes) == 0);
}

TEST_CASE(
  "maintenance: events are counted twice a second, on and on while there are more, and only "
  "while it is its duty") {
  recorded_log log;
  maintenance_fixture m;
  m.lead_for(10s, false);
  CHECK(m.database->counts.empty());
  m.lead_for(10s);
  auto counts = m.database->counts.size();
  CHECK(counts >= 15);
  CHECK(counts <= 21);
  m.database->left = 100;
  m.lead_for(2s);
  CHECK(m.database->counts.size() >= counts + 100);
  // What cannot be done is told once, and tried again.
  m.database->says_of_counting.ended = outcome::failure("canceling statement");
  counts = m.database->counts.size();
  m.lead_for(10s);
  CHECK(m.database->counts.size() >= counts + 15);
  CHECK(log.count("cannot count events now") == 1);
  m.lead_for(2s, false);
  counts = m.database->counts.size();
  m.lead_for(10s, false);
  CHECK(m.database->counts.size() == counts);
}
