// The keeper on virtual time, with a database that only says what it is told to.

#include "actors/keeper.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

#include <memory>
#include <string>
#include <vector>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

supervisor_actor::behavior_type quiet_boss(supervisor_actor::pointer, int) {
  return {
    [](atom::terminate, stop_mode, stop_reason) {},
    [](atom::lame_duck, bool) {},
    [](atom::lame_duck) {},
    [](atom::dump) {},
    [](atom::stopped, const stopped_report&) {},
    [](atom::status) { return service_status{}; },
    [](atom::ping) { return pong{}; },
    [](atom::plan) { return stop_forecast{}; },
    [](atom::reload) { return reload_report{}; },
    [](atom::tick, uint64_t) {},
    [](atom::give_up, const std::string&) {},
    [](atom::restart, uint32_t) {},
  };
}

class told_database : public cluster_port {
public:
  explicit told_database(virtual_system& on) : on_(on) {}
  result<heard> beat(const report&) override { return says; }
  maintained maintain() override {
    rounds.push_back(on_.now());
    return step;
  }
  query_answer answer(const cluster_task&) override { return {}; }
  void apply_settings(const config&) override {}
  void leave() override {}

  result<heard> says = heard{.leads = true};
  maintained step;
  std::vector<time_point> rounds;

private:
  virtual_system& on_;
};

struct keeping {
  keeping() {
    auto supervisor = on.keep(on.system.spawn(quiet_boss, 0));
    keeper = on.keep(on.system.spawn(
      keeper_behavior, child_identity{"keeper", supervisor, std::make_shared<activity>()},
      database));
  }
  virtual_system on;
  std::shared_ptr<told_database> database = std::make_shared<told_database>(on);
  keeper_actor keeper;
};

} // namespace

TEST_CASE("keeper: what cannot be done is tried less and less often, and then as before") {
  recorded_log log;
  keeping k;
  k.database->step = {.error = "canceling statement due to lock timeout"};
  k.on.advance(3600s, 100ms);
  const auto& rounds = k.database->rounds;
  REQUIRE(rounds.size() > 6);
  CHECK(rounds.size() < 15);
  for (size_t i = 1; i < rounds.size(); ++i) {
    auto whole = std::min<duration>(10s * (1 << std::min<size_t>(i - 1, 6)), 600s);
    auto waited = rounds[i] - rounds[i - 1];
    CHECK(waited >= whole);
    CHECK(waited < whole + 3s); // the next sign of life
  }
  // Something done and something not done at once is still not tried again every two seconds.
  k.database->step.did = "deleted 20000 old batches";
  auto before = rounds.size();
  k.on.advance(1200s, 100ms);
  CHECK(rounds.size() <= before + 3);
  k.database->step = {.did = "deleted 20000 old batches"};
  k.on.advance(600s, 100ms);
  before = rounds.size();
  k.on.advance(60s, 100ms);
  CHECK(rounds.size() >= before + 14); // step after step while there is something to do
}

TEST_CASE(
  "keeper: a database that is away, or a clock that is wrong, is told; nothing is maintained") {
  recorded_log log;
  keeping k;
  k.on.advance(5s, 100ms);
  CHECK(k.database->rounds.size() == 1);
  k.database->says = outcome::failure("the clock of this machine says 2027");
  k.on.advance(300s, 100ms);
  CHECK(k.database->rounds.size() == 1);
  CHECK(log.count("the clock of this machine says 2027") == 1); // once, not with every beat
}
