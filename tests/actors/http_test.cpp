// HTTP on virtual time, over a listener that does what the test says.

#include "actors/http.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_ports.hpp"
#include "tests/support/lone_actor.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// A listener whose connections stay until the test lets them go.
struct slow_listener : fake_listener {
  void stop_accepting() override {
    open_now = false;
    ++stops;
  }
  void escalate() override { ++escalations; }
  void cut() override { ++cuts; }
  http_counts counts() const override { return now; }
  std::vector<loop_life> loops_alive() override {
    return {{.accepts = true, .shortage = shortage}};
  }
  std::vector<waited> waits() const override { return held; }

  http_counts now{};
  std::vector<waited> held;
  std::string shortage;
  int stops = 0, escalations = 0, cuts = 0;
};

} // namespace

TEST_CASE("http: stops accepting once, escalates with the mode, and leaves when all are gone") {
  virtual_system on;
  auto listener = std::make_shared<slow_listener>();
  listener->now = {.connections = 3, .requests = 10, .refused = 1};
  lone_actor<http_actor> http{on, "http", http_behavior, http_port_ptr{listener}};
  CHECK(listener->open_now);
  http.tell(atom::drained_v); // before a stop it means nothing
  CHECK_FALSE(http.gone());
  http.tell(atom::stop_v, stop_order{});
  http.tell(atom::release_v, release_order{});
  CHECK(listener->stops == 1);
  CHECK(listener->escalations == 0);
  listener->held = {{"client 192.0.2.1", 2s, wait_kind::client}};
  CHECK(http.status().doing.find("waits for client 192.0.2.1 for 2.0 s") != std::string::npos);
  http.tell(atom::stop_v, stop_order{.mode = stop_mode::fast});
  CHECK(listener->stops == 1);
  CHECK(listener->escalations == 1);
  listener->now = {.connections = 0, .requests = 15, .refused = 3};
  listener->drained();
  on.run();
  CHECK(http.gone());
  CHECK(listener->cuts == 0);
  REQUIRE(http.heard->stopped.size() == 1);
  const auto& report = http.heard->stopped[0];
  CHECK(report.did[0].count == 3); // finished: five more, two of them refused
  CHECK(report.did[1].count == 2);
  CHECK(report.did[2].count == 3);
  REQUIRE(report.waits.size() == 1);
  CHECK(report.waits[0].whom == "client 192.0.2.1");
}

TEST_CASE("http: killed in a stop it cuts its connections; dead before one it leaves them to the "
          "next") {
  for (bool stopping : {true, false}) {
    CAPTURE(stopping);
    virtual_system on;
    auto listener = std::make_shared<slow_listener>();
    lone_actor<http_actor> http{on, "http", http_behavior, http_port_ptr{listener}};
    if (stopping)
      http.tell(atom::stop_v, stop_order{});
    kill_now(http.actor);
    on.run();
    CHECK(listener->cuts == (stopping ? 1 : 0));
  }
}

TEST_CASE("http: a listener without descriptors is degraded, with its reason") {
  virtual_system on;
  auto listener = std::make_shared<slow_listener>();
  lone_actor<http_actor> http{on, "http", http_behavior, http_port_ptr{listener}};
  CHECK(http.status().degraded.empty());
  listener->shortage = "Too many open files";
  CHECK(http.status().degraded == "the listener takes no new connections: Too many open files");
}
