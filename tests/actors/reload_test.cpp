// Reload on virtual time: all or nothing, and no request for one is dropped.

#include "tests/support/doctest.hpp"
#include "tests/support/fake_children.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/virtual_time.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Asks for a reload as the admin actor does.
class reload_asker {
public:
  reload_asker(virtual_system& on, fake_graph& graph) {
    on.keep(on.system.spawn(
      [&graph, answer = answer_](caf::event_based_actor* self, int) {
        self->request(graph.supervisor, caf::duration{60s}, atom::reload_v)
          .then([answer](const reload_report& report) { *answer = report; });
      },
      0)); // CAF 0.17 binds a null reference without an argument
    on.run();
  }
  const std::optional<reload_report>& answer() const { return *answer_; }

private:
  std::shared_ptr<std::optional<reload_report>> answer_ =
    std::make_shared<std::optional<reload_report>>();
};

} // namespace

TEST_CASE("reload: everybody applies it, the state comes back, and the answer says what changed") {
  virtual_system on;
  fake_graph graph{on, three_children()};
  on.run();
  reload_asker asker{on, graph};
  const auto& answer = asker.answer();
  REQUIRE(answer);
  CHECK(answer->accepted);
  CHECK(graph.service->applied.size() == 1);
  for (auto name : {"http apply", "stats apply", "store apply"})
    CHECK(graph.orders->has(name));
  CHECK(graph.service->state == service_state::ready);
  const auto& texts = graph.service->texts;
  CHECK(std::find(texts.begin(), texts.end(), "reloading") != texts.end());
}

TEST_CASE("reload: an error changes nothing and is told") {
  recorded_log log;
  virtual_system on;
  fake_graph graph{on, three_children()};
  graph.service->reload_accepted = outcome::failure("server.port: expected a number");
  tell_from_outside(graph.supervisor, atom::reload_v);
  on.run();
  CHECK(graph.service->applied.empty());
  CHECK_FALSE(graph.orders->has("http apply"));
  CHECK(log.contains("keeps its settings: server.port"));
  CHECK(graph.service->state == service_state::ready);
}

TEST_CASE(
  "reload: requests that come while one is under way are served by one more; none is lost") {
  virtual_system on;
  auto plans = three_children();
  plans[1].acts = manner::deaf; // it never applies them: the reload takes its whole time-out
  fake_graph graph{on, plans};
  for (int i = 0; i < 3; ++i) {
    tell_from_outside(graph.supervisor, atom::reload_v);
    on.run();
  }
  CHECK(graph.service->reloads == 1);
  on.advance(2100ms);
  CHECK(graph.service->reloads == 2);
  on.advance(5s);
  CHECK(graph.service->reloads == 2);
  CHECK(graph.service->state == service_state::ready);
}

TEST_CASE("reload: one that comes while starting is carried out when the start is over") {
  virtual_system on;
  auto plans = three_children();
  plans[0].acts = manner::starting_late;
  fake_graph graph{on, plans};
  reload_asker asker{on, graph};
  CHECK(graph.service->state == service_state::starting);
  CHECK(graph.service->reloads == 0);
  CHECK_FALSE(asker.answer());
  on.advance(1s);
  CHECK(graph.service->state == service_state::ready);
  CHECK(graph.service->reloads == 1);
  REQUIRE(asker.answer());
  CHECK(asker.answer()->accepted);
}

TEST_CASE("reload: who waits for one when a stop begins, and who asks in a stop, is refused") {
  virtual_system on;
  auto plans = three_children(manner::obedient, manner::deaf);
  plans[0].acts = manner::never_starting;
  fake_graph graph{on, plans};
  reload_asker early{on, graph};
  CHECK_FALSE(early.answer());
  graph.terminate();
  REQUIRE(early.answer());
  CHECK(early.answer()->accepted.why() == "the service is stopping");
  REQUIRE_FALSE(graph.finished());
  reload_asker late{on, graph};
  REQUIRE(late.answer());
  CHECK(late.answer()->accepted.why() == "the service is stopping");
  CHECK(graph.service->reloads == 0);
  CHECK(graph.service->applied.empty());
}

TEST_CASE(
  "reload: an actor that is born after one has its settings, as has one that is being born") {
  virtual_system on;
  auto plans = three_children();
  plans[2].restartable = true;
  fake_graph graph{on, plans};
  graph.kill_child("store"); // waits for its restart while the settings change
  tell_from_outside(graph.supervisor, atom::reload_v);
  on.run();
  CHECK_FALSE(graph.orders->has("store apply"));
  on.advance(200ms);
  CHECK(graph.starts["store"] == 2);
  CHECK(graph.orders->has("store apply"));
  graph.orders->lines.clear();
  graph.manners->at("http") = manner::starting_late;
  graph.kill_child("http");
  on.advance(500ms);
  CHECK(graph.starts["http"] == 2);
  graph.orders->lines.clear();
  tell_from_outside(graph.supervisor, atom::reload_v);
  on.run();
  CHECK(graph.orders->has("http apply"));
}

TEST_CASE("reload: a watchdog that it switches on is watched from then on") {
  virtual_system on;
  auto plans = three_children();
  plans[0].name = "watchdog";
  fake_graph graph{on, plans};
  on.advance(20s);
  graph.service->silence = 5s;
  tell_from_outside(graph.supervisor, atom::reload_v);
  on.advance(5390ms);
  CHECK(graph.service->stuck_actors.empty());
  on.advance(10ms);
  CHECK(graph.service->stuck_actors == std::vector<std::string>{"watchdog"});
}

TEST_CASE("reload: a lame duck stays one, also when it became one meanwhile") {
  virtual_system on;
  auto plans = three_children();
  plans[1].acts = manner::deaf;
  fake_graph graph{on, plans};
  tell_from_outside(graph.supervisor, atom::reload_v);
  on.run();
  CHECK(graph.service->state == service_state::reloading);
  tell_from_outside(graph.supervisor, atom::lame_duck_v, true);
  on.advance(3s);
  CHECK(graph.service->state == service_state::lame_duck);
}

TEST_CASE("reload: one after another they do not make the limit of restarts forget any") {
  virtual_system on;
  fake_graph graph{on, three_children()};
  auto limit = config{}.shutdown.restart_limit; // of the settings that a reload brings
  for (int64_t i = 0; i < limit; ++i) {
    tell_from_outside(graph.supervisor, atom::reload_v);
    on.run();
    graph.kill_child("http");
    on.advance(6s);
    REQUIRE_FALSE(graph.finished());
  }
  tell_from_outside(graph.supervisor, atom::reload_v);
  on.run();
  graph.kill_child("http");
  REQUIRE(graph.finished());
  CHECK(graph.service->result->code == exit_code::child_died);
}
