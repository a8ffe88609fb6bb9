// The public listener with its event loops, on loopback, before actors that the test plays.

#include "server/http/http_server.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Stores what comes at once, in the loop's thread; questions wait.
struct storing_backend : backend_port {
  void submit(ingest_turn_ptr turn) override {
    std::vector<ingest_answer> answers;
    for (const auto& request : turn->requests)
      if (request.awaited)
        answers.push_back({request.to, {.stored = static_cast<uint32_t>(request.events.size())}});
    turn->requests.clear();
    turn->replies->deliver(std::move(answers));
  }
  void ask(asked_ptr<reader_query> question) override {
    std::lock_guard lock{mutex};
    questions.push_back(std::move(question));
  }
  void ask(asked_ptr<inspection_task>) override {}
  void ask(asked_ptr<spool_task>) override {}
  void ask(asked_ptr<cluster_task>) override {}
  void ask(asked_ptr<health_query>) override {}
  void ask(asked_ptr<service_query>) override {}

  size_t waiting() {
    std::lock_guard lock{mutex};
    return questions.size();
  }
  void answer_all(const std::string& body) {
    std::lock_guard lock{mutex};
    for (const auto& question : questions)
      question->reply.answer({.body = body});
    questions.clear();
  }

  std::mutex mutex;
  std::vector<asked_ptr<reader_query>> questions;
};

struct server_fixture {
  explicit server_fixture(int64_t threads = 2) {
    settings.server.port = 0;
    settings.server.threads = threads;
    settings.stats.track_requests = false;
    server = make_http_server(settings, "salt", backend, tokens, {});
  }
  uint16_t open() {
    REQUIRE(server->open([this] { ++drained; }).why() == "");
    auto at = server->addresses().at(0);
    CHECK(at.starts_with("127.0.0.1:"));
    return static_cast<uint16_t>(std::stoul(at.substr(at.rfind(':') + 1)));
  }

  temp_dir dir;
  config settings;
  std::shared_ptr<storing_backend> backend = std::make_shared<storing_backend>();
  std::shared_ptr<api::token_store> tokens =
    std::make_shared<api::token_store>(dir.path("tokens.json"));
  std::atomic<int> drained{0};
  http_port_ptr server;
};

constexpr const char* question = "/api/v1/stats/daily?start=2026-01-01&end=2026-01-02";
const std::string ask_on = "GET " + std::string{question} + " HTTP/1.1\r\nHost: t\r\n\r\n";

} // namespace

TEST_CASE("http server: serves what comes, and counts it") {
  server_fixture at;
  CHECK(at.server->addresses().empty());
  CHECK(at.server->counts().accepted == 0);
  auto port = at.open();
  auto stored = post(port, "/api/v1/events", R"({"feature":"a"})");
  CHECK(stored.status == 200);
  CHECK(stored.body.starts_with(R"({"stored":1,)"));
  CHECK(get(port, "/health/ready").status == 503);
  at.server->set_ready(true);
  CHECK(get(port, "/health/ready").status == 200);
  at.server->set_ready(false);
  CHECK(get(port, "/health/ready").status == 503);
  CHECK(get(port, "/health/startup").status == 200); // it was ready once
  CHECK(get(port, "/nowhere").status == 404);
  CHECK(eventually([&] { return at.server->counts().connections == 0; }, 5s));
  auto counts = at.server->counts();
  CHECK(counts.requests == 6);
  CHECK(counts.refused == 2);
  CHECK(counts.by_class == std::array<uint64_t, 6>{0, 0, 3, 0, 1, 2});
  CHECK(counts.took[static_cast<size_t>(request_kind::ingest)].count() == 1);
  CHECK(counts.took[static_cast<size_t>(request_kind::question)].count() == 0);
  CHECK(counts.took[static_cast<size_t>(request_kind::other)].count() == 5);
  CHECK(counts.took[static_cast<size_t>(request_kind::ingest)].total > duration::zero());
  CHECK(counts.accepted == 6);
  CHECK(counts.in_flight == 0);
  auto loops = at.server->loops_alive();
  REQUIRE(loops.size() == 2);
  for (const auto& loop : loops)
    CHECK(loop.accepts);
}

TEST_CASE("http server: a stop answers what is in flight, ends who waits, and is told once") {
  server_fixture at;
  auto port = at.open();
  http_client idle{port};
  CHECK(idle.get("/health/live").status == 200);
  http_client asking{port};
  asking.send(ask_on);
  REQUIRE(eventually([&] { return at.backend->waiting() == 1; }, 5s));
  at.server->stop_accepting();
  at.server->stop_accepting(); // a second time it changes nothing
  CHECK(eventually([&] { return !http_client{port}.connected(); }, 5s));
  CHECK(idle.ended());
  CHECK(eventually(
    [&] {
      auto waits = at.server->waits();
      return std::any_of(waits.begin(), waits.end(),
                         [](const waited& one) { return one.whom == "reader"; });
    },
    5s));
  CHECK(at.drained == 0);
  CHECK(at.server->counts().in_flight == 1);
  at.backend->answer_all("[]");
  auto answer = asking.read();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[]");
  CHECK(answer.closes());
  CHECK(eventually([&] { return at.drained == 1; }, 5s));
  CHECK(at.server->counts().connections == 0);
  for (const auto& loop : at.server->loops_alive())
    CHECK_FALSE(loop.accepts);
  at.server.reset(); // its loops have ended
  CHECK(at.drained == 1);
}

TEST_CASE(
  "http server: after an escalation a question in flight is answered 503, and the late answer is "
  "nobody's") {
  server_fixture at{1};
  auto port = at.open();
  http_client asking{port};
  asking.send(ask_on);
  REQUIRE(eventually([&] { return at.backend->waiting() == 1; }, 5s));
  at.server->stop_accepting();
  at.server->escalate();
  auto answer = asking.read();
  CHECK(answer.status == 503);
  CHECK(answer.body.find(R"("code":"stopping")") != std::string::npos);
  CHECK(eventually([&] { return at.drained == 1; }, 5s));
  at.backend->answer_all("[]");
  CHECK(at.server->counts().requests == 1);
  CHECK(at.server->counts().refused == 1);
}

TEST_CASE("http server: opened again it goes on, and tells the new one; released, nobody") {
  server_fixture at{1};
  auto port = at.open();
  http_client stays{port};
  CHECK(stays.get("/health/live").status == 200);
  int second = 0;
  CHECK(at.server->open([&] { ++second; }).why() == "");
  CHECK(at.server->addresses().size() == 1);
  CHECK(stays.get("/health/live").status == 200);
  at.server->release_handles();
  at.server->stop_accepting();
  CHECK(stays.ended());
  CHECK(eventually([&] { return at.server->counts().connections == 0; }, 5s));
  at.server.reset();
  CHECK(at.drained == 0);
  CHECK(second == 0);
}

TEST_CASE("http server: settings hold for requests that begin then") {
  server_fixture at;
  auto port = at.open();
  http_client client{port};
  CHECK(client.get("/health/live").status == 200);
  auto next = std::make_shared<config>(at.settings);
  next->auth.token.value = "S3cret";
  at.server->apply_settings(next);
  CHECK(eventually([&] { return post(port, "/api/v1/events", R"({"feature":"a"})").status == 401; },
                   5s));
  CHECK(post(port, "/api/v1/events", R"({"feature":"a"})", "application/json",
             "Authorization: Bearer S3cret\r\n")
          .status
        == 200);
}

TEST_CASE("http server: a socket unit's address that lets others in needs a token") {
  server_fixture at;
  auto open_with = [&](const std::string& host) {
    std::vector<owned_fd> inherited;
    inherited.push_back(std::move(*open_listener(host, 0)));
    at.server = make_http_server(at.settings, "salt", at.backend, at.tokens, std::move(inherited));
    return at.server->open([] {}).why();
  };
  CHECK(open_with("127.0.0.1") == "");
  CHECK(open_with("0.0.0.0").find("which lets other machines in, and there is no auth.token")
        != std::string::npos);
  CHECK(at.server->addresses().empty());
}

TEST_CASE("http server: localhost is both of its addresses, at one port") {
  server_fixture at{1};
  at.settings.server.host = "localhost";
  at.server = make_http_server(at.settings, "salt", at.backend, at.tokens, {});
  auto port = std::to_string(at.open());
  auto addresses = at.server->addresses();
  bool has_ipv6 = static_cast<bool>(open_listener("::1", 0));
  REQUIRE(addresses.size() == (has_ipv6 ? 2 : 1));
  CHECK(addresses[0] == "127.0.0.1:" + port);
  if (has_ipv6)
    CHECK(addresses[1] == "[::1]:" + port);
  at.server->stop_accepting();
  CHECK(eventually([&] { return at.drained == 1; }));
}

TEST_CASE("http server: all places of localhost are for whichever of its addresses clients take") {
  server_fixture at{2};
  at.settings.server.host = "localhost";
  at.settings.server.max_connections = 8;
  at.server = make_http_server(at.settings, "salt", at.backend, at.tokens, {});
  auto port = at.open();
  std::vector<std::unique_ptr<http_client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<http_client>(port));
    CHECK(clients.back()->get("/health/live").status == 200);
  }
  CHECK(at.server->counts().connections == 8);
  CHECK(at.server->counts().made_room == 0);
  CHECK(at.server->loops_alive().size() == 2);
}

TEST_CASE("http server: inherited listeners have one set of places as well") {
  server_fixture at{1};
  at.settings.server.max_connections = 4;
  std::vector<owned_fd> inherited;
  std::vector<uint16_t> ports;
  for (int i = 0; i < 2; ++i) {
    inherited.push_back(std::move(*open_listener("127.0.0.1", 0)));
    ports.push_back(address_of(inherited.back().get()).port);
  }
  at.server = make_http_server(at.settings, "salt", at.backend, at.tokens, std::move(inherited));
  CHECK(at.open() == ports[0]);
  CHECK(at.server->addresses().size() == 2);
  std::vector<std::unique_ptr<http_client>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<http_client>(ports[1]));
    CHECK(clients.back()->get("/health/live").status == 200);
  }
  CHECK(at.server->counts().connections == 4);
  CHECK(at.server->counts().made_room == 0);
}

TEST_CASE("http server: one address of localhost that is taken is told, and neither is kept") {
  auto taken = open_listener("::1", 0);
  if (!taken)
    return; // a machine without IPv6
  auto port = address_of(taken->get()).port;
  server_fixture at{1};
  at.settings.server.host = "localhost";
  at.settings.server.port = port;
  at.server = make_http_server(at.settings, "salt", at.backend, at.tokens, {});
  auto opened = at.server->open([] {});
  CHECK(opened.why().starts_with("cannot listen on ::1:" + std::to_string(port) + ": "));
  CHECK(at.server->addresses().empty());
  CHECK(at.server->loops_alive().empty());
  CHECK_FALSE(http_client{port}.connected());
  taken->reset();
  CHECK(at.server->open([] {}).why() == ""); // another try
  CHECK(at.server->addresses().size() == 2);
}
