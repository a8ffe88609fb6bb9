// Reload on virtual time: all or nothing, and no request for one is dropped.

#include "tests/support/doctest.hpp"
#include "tests/support/fake_children.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

TEST_CASE("reload: everybody adopts, the state comes back, and the answer says what changed") {
  virtual_system on;
  fake_house house{on, three_children()};
  on.run();
  std::optional<reload_report> answer;
  auto asker = on.keep(on.system.spawn(
    [&](caf::event_based_actor* self, int) {
      self->request(house.boss, caf::duration{1s}, atom::reload_v)
        .then([&](const reload_report& report) { answer = report; });
    },
    0)); // CAF 0.17 binds a null reference without an argument
  on.run();
  REQUIRE(answer);
  CHECK(answer->ok());
  CHECK(house.service->adopted.size() == 1);
  for (auto name : {"http adopt", "stats adopt", "store adopt"})
    CHECK(house.orders->has(name));
  CHECK(house.service->state == service_state::ready);
  const auto& texts = house.service->texts;
  CHECK(std::find(texts.begin(), texts.end(), "reloading") != texts.end());
}

TEST_CASE("reload: an error changes nothing and is told") {
  recorded_log log;
  virtual_system on;
  fake_house house{on, three_children()};
  house.service->reload_error = "server.port: expected a number";
  tell_from_outside(house.boss, atom::reload_v);
  on.run();
  CHECK(house.service->adopted.empty());
  CHECK_FALSE(house.orders->has("http adopt"));
  CHECK(log.contains("keeps its settings: server.port"));
  CHECK(house.service->state == service_state::ready);
}

TEST_CASE(
  "reload: requests that come while one is under way are served by one more; none is lost") {
  virtual_system on;
  auto plans = three_children();
  plans[1].how = manner::deaf; // it never adopts: the reload takes its whole time-out
  fake_house house{on, plans};
  for (int i = 0; i < 3; ++i) {
    tell_from_outside(house.boss, atom::reload_v);
    on.run();
  }
  CHECK(house.service->reloads == 1);
  on.advance(2100ms);
  CHECK(house.service->reloads == 2);
  on.advance(5s);
  CHECK(house.service->reloads == 2);
  CHECK(house.service->state == service_state::ready);
}

TEST_CASE("reload: one that comes while starting waits, one in a stop is refused") {
  recorded_log log;
  virtual_system on;
  auto plans = three_children();
  plans[0].how = manner::never_starting;
  fake_house house{on, plans};
  tell_from_outside(house.boss, atom::reload_v);
  on.run();
  CHECK(house.service->reloads == 0);
  house.terminate();
  tell_from_outside(house.boss, atom::reload_v);
  on.run();
  CHECK(house.service->reloads == 0);
}

TEST_CASE("reload: a lame duck stays one, also when it became one meanwhile") {
  virtual_system on;
  auto plans = three_children();
  plans[1].how = manner::deaf;
  fake_house house{on, plans};
  tell_from_outside(house.boss, atom::reload_v);
  on.run();
  CHECK(house.service->state == service_state::reloading);
  tell_from_outside(house.boss, atom::lame_duck_v, true);
  on.advance(3s);
  CHECK(house.service->state == service_state::lame_duck);
}
