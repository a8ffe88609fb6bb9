// The actors as they are wired in the service, all of them, over ports in memory, on virtual time.

#include "tests/support/doctest.hpp"
#include "tests/support/fake_children.hpp"
#include "tests/support/fake_ports.hpp"
#include "tests/support/virtual_time.hpp"

#include <algorithm>
#include <iterator>

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// The whole service. Its threads are one: who would block has a fake that does not.
struct whole_service {
  whole_service(bool with_postgres, uint32_t seed,
                const std::function<void(fake_ports&)>& with = {})
    : on(seed) {
    if (with)
      with(ports);
    auto settings = std::make_shared<config>();
    graph.emplace(settings, ports.all(with_postgres), current, service_graph::threads::shared);
    supervisor = on.keep(on.system.spawn(supervisor_behavior, graph->children(on.system),
                                         supervisor_settings_of(*settings, duration::zero()),
                                         service_port_ptr{process}, graph->supervisor_activity()));
    on.run();
  }
  ~whole_service() { // every actor must be gone before the actor system
    if (!process->result && ports.signals->handler)
      signal(signal_kind::terminate);
    on.advance_until([&] { return process->result.has_value(); }, 120s);
    graph->release_handles();
  }

  /// An event that somebody waits for.
  void send(const std::string& feature) {
    auto turn = std::make_shared<ingest_turn>(replies);
    event e;
    e.feature = feature;
    turn->requests.push_back({.to = ++sent, .events = {e}});
    tell_from_outside(current->get<stats_actor>(), atom::ingest_v, std::move(turn));
    on.run();
  }
  void signal(signal_kind kind) {
    ports.signals->handler(heard_signal{.kind = kind, .wish = stop_mode::graceful, .press = 1});
    on.run();
  }
  virtual_system on;
  fake_ports ports;
  std::shared_ptr<current_actors> current = std::make_shared<current_actors>();
  std::shared_ptr<fake_service> process = std::make_shared<fake_service>();
  std::shared_ptr<recorded_replies> replies = std::make_shared<recorded_replies>();
  std::optional<service_graph> graph;
  supervisor_actor supervisor;
  ticket sent = 0;
};

} // namespace

TEST_CASE(
  "the whole service: starts, stores, answers, and a signal stops it with a clean account") {
  for (bool with_postgres : {false, true})
    for (uint32_t seed = 0; seed < 100; ++seed) {
      CAPTURE(with_postgres);
      CAPTURE(seed);
      whole_service service{with_postgres, seed};
      REQUIRE(service.process->state == service_state::ready);
      service.send("a");
      service.send("b");
      service.send("a");
      service.on.advance(1s);
      CHECK(service.replies->outcomes.at(1).stored == 1);
      CHECK(service.replies->outcomes.at(2).stored == 1);
      CHECK(service.replies->outcomes.at(3).duplicates == 1);
      service.send("c"); // under way when the stop comes
      service.signal(signal_kind::terminate);
      REQUIRE(service.on.advance_until([&] { return service.process->result.has_value(); }, 5s));
      const auto& report = *service.process->result;
      CHECK(report.code == exit_code::clean);
      REQUIRE(report.ledger);
      CHECK(report.ledger->received == 4);
      CHECK(report.ledger->stored == 3);
      CHECK(report.ledger->duplicates == 1);
      CHECK(report.ledger->balanced());
      for (const auto& row : report.actors) {
        CAPTURE(row.actor);
        CHECK(row.trouble == "");
        REQUIRE(row.report);
        CHECK(row.report->ended.why() == "");
      }
      CHECK(service.ports.database->stored.size() == 3);
      CHECK(service.ports.database->closed);
      CHECK(service.ports.cluster->left == with_postgres);
      CHECK_FALSE(service.ports.listener->open_now);
    }
}

TEST_CASE("the whole service: who is there, and in which order they would go") {
  auto names = [](bool with_postgres) {
    whole_service service{with_postgres, 0};
    caf::scoped_actor asker{service.on.system};
    auto pending = asker->request(service.supervisor, 1s, atom::plan_v);
    service.on.run();
    std::string out;
    pending.receive(
      [&](const stop_forecast& forecast) {
        for (const auto& row : forecast.actors)
          out += row.actor + " ";
      },
      [](const caf::error&) { FAIL("no answer"); });
    return out;
  };
  CHECK(names(false) == "http stats reader inspector store watchdog signal admin ");
  CHECK(names(true)
        == "http stats reader inspector maintenance spool store membership watchdog signal admin ");
  // Whom a trace may be narrowed to.
  auto all = names(true) + "supervisor ";
  for (auto name : actor_name::all)
    CHECK(all.find(std::string{name} + " ") != all.npos);
  CHECK(std::count(all.begin(), all.end(), ' ')
        == static_cast<std::ptrdiff_t>(std::size(actor_name::all)));
}

TEST_CASE(
  "the whole service: who is started for a stop has clients, or takes what was acknowledged") {
  virtual_system on{0};
  fake_ports ports;
  service_graph graph{std::make_shared<config>(), ports.all(true),
                      std::make_shared<current_actors>(), service_graph::threads::shared};
  std::string needed;
  for (const auto& child : graph.children(on.system))
    if (child.needed_in_stop)
      needed += child.name + " ";
  CHECK(needed == "http spool store admin ");
}

TEST_CASE("the whole service: while the database is away events are spooled, and stored when it is "
          "back, each once") {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    whole_service service{true, seed};
    REQUIRE(service.process->state == service_state::ready);
    service.ports.database->away = true;
    for (int i = 0; i < 20; ++i) {
      service.send(std::to_string(i));
      service.on.advance(50ms);
    }
    service.on.advance(3s);
    for (ticket i = 1; i <= 20; ++i)
      CHECK(service.replies->outcomes.at(i).spooled);
    service.ports.database->away = false;
    CHECK(service.on.advance_until([&] { return service.ports.spool->batches.empty(); }, 60s));
    service.signal(signal_kind::terminate);
    REQUIRE(service.on.advance_until([&] { return service.process->result.has_value(); }, 5s));
    CHECK(service.process->result->code == exit_code::clean);
    CHECK(service.process->result->ledger->stored == 20);
    CHECK(service.ports.database->stored.size() == 20);
  }
}

TEST_CASE(
  "the whole service: who is with a spool that cannot be started again is answered, and the "
  "stop goes on") {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    whole_service service{true, seed};
    service.ports.database->away = true;
    for (int i = 0; i < 5; ++i) { // as often as it is started again
      kill_now(service.current->get<spool_actor>());
      service.on.advance(2s);
    }
    REQUIRE(service.process->state == service_state::ready);
    kill_now(service.current->get<spool_actor>());
    service.send("a");
    REQUIRE(service.on.advance_until([&] { return service.process->result.has_value(); }, 5s));
    CHECK(service.process->result->code == exit_code::child_died);
    REQUIRE(service.replies->outcomes.contains(1));
    auto error = service.replies->outcomes.at(1).error;
    CHECK((error == error_code::store_unavailable || error == error_code::outcome_unknown));
  }
}

TEST_CASE("the whole service: a database that cannot be opened ends the start with its reason") {
  whole_service service{false, 0, [](fake_ports& ports) {
                          ports.database->refuses_to_open = outcome::failure("no such disk");
                        }};
  REQUIRE(service.process->result);
  CHECK(service.process->result->code == exit_code::startup_failed);
  CHECK(service.process->result->detail == "store: no such disk");
  CHECK_FALSE(service.ports.listener->open_now);
}
