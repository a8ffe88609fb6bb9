// One event loop on loopback, before actors that the test plays: what http_server_test does not
// see.

#include "server/http/event_loop.hpp"
#include "server/platform/digest.hpp"
#include "server/platform/listener.hpp"
#include "server/platform/listener_probe.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/recorded_backend.hpp"
#include "tests/support/recorded_log.hpp"

#include <atomic>
#include <mutex>
#include <semaphore>
#include <stdexcept>
#include <sys/socket.h>
#include <vector>

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Keeps what comes out of the loop's thread until the test answers it.
struct played_backend : backend_port {
  void submit(ingest_turn_ptr turn) override {
    if (on_submit)
      on_submit();
    std::lock_guard lock{mutex};
    if (!closed)
      kept.submit(std::move(turn));
  }
  void ask(asked_ptr<reader_query> question) override {
    std::lock_guard lock{mutex};
    if (!closed)
      kept.ask(std::move(question));
  }
  void ask(asked_ptr<inspection_task>) override {}
  void ask(asked_ptr<spool_task>) override {}
  void ask(asked_ptr<cluster_task>) override {}
  void ask(asked_ptr<health_query>) override {}
  void ask(asked_ptr<service_query>) override {}
  health_view health() const override {
    if (throws)
      throw std::runtime_error("nobody is there");
    return {};
  }

  size_t turns() {
    std::lock_guard lock{mutex};
    return kept.turns.size();
  }
  size_t questions() {
    std::lock_guard lock{mutex};
    return kept.questions.size();
  }
  /// Answers all that waits in a turn with one outcome; how many events there were.
  size_t store(const ingest_outcome& outcome) {
    std::lock_guard lock{mutex};
    size_t events = 0;
    for (auto& turn : kept.turns) {
      std::vector<ingest_answer> answers;
      for (const auto& request : turn->requests) {
        events += request.events.size();
        if (request.awaited)
          answers.push_back({request.to, outcome});
      }
      turn->requests.clear();
      turn->replies->deliver(std::move(answers));
    }
    kept.turns.clear();
    return events;
  }

  void answer(const std::string& body) {
    std::lock_guard lock{mutex};
    for (const auto& question : kept.questions)
      question->reply.answer({.body = body});
  }
  /// Before the loop goes: nothing is kept any more that would be answered there.
  void close() {
    std::lock_guard lock{mutex};
    closed = true;
    kept.forget();
  }

  std::function<void()> on_submit; ///< in the loop's thread
  std::atomic<bool> throws{false};
  std::mutex mutex;
  bool closed = false;
  recorded_backend kept;
};

struct loop_fixture {
  loop_fixture() {
    shared->settings.stats.track_requests = false;
    shared->settings.server.keepalive_grace_ms = 0;
    shared->tokens = std::make_shared<api::token_store>("/nonexistent/tokens.json");
    shared->backend = backend;
    shared->places = 100;
  }
  ~loop_fixture() {
    backend->close();
    loop.reset();
  }

  void start() {
    auto listener = open_listener("127.0.0.1", 0);
    REQUIRE(listener.why() == "");
    port = address_of(listener->get()).port;
    loop = make_event_loop(shared);
    std::vector<owned_fd> all;
    all.push_back(std::move(*listener));
    REQUIRE(loop->start(std::move(all), false).why() == "");
  }
  void stop() {
    loop->stop_accepting([this] { ++drained; });
  }
  /// Whether so many requests are answered, and so many of them with 503.
  bool has_answered(uint64_t requests, uint64_t refused = 0) {
    return eventually(
      [&] {
        auto counts = loop->counts();
        return counts.requests == requests && counts.refused == refused && counts.in_flight == 0;
      },
      5s);
  }
  bool has_turns(size_t count = 1) {
    return eventually([&] { return backend->turns() == count; }, 5s);
  }
  bool has_questions(size_t count = 1) {
    return eventually([&] { return backend->questions() == count; }, 5s);
  }

  std::shared_ptr<played_backend> backend = std::make_shared<played_backend>();
  std::shared_ptr<loop_shared> shared{new loop_shared{.routes = route_table{"/api/v1", true}}};
  std::atomic<int> drained{0};
  uint16_t port = 0;
  std::unique_ptr<event_loop> loop;
};

constexpr const char* event_body = R"({"feature":"a"})";

std::string events(const std::string& body, const std::string& target = "/api/v1/events") {
  return "POST " + target + " HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
         + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string question =
  "GET /api/v1/stats/daily?start=2026-01-01&end=2026-01-02 HTTP/1.1\r\nHost: t\r\n\r\n";
const std::string alive = "GET /health/live HTTP/1.1\r\nHost: t\r\n\r\n";

/// What comes until it ends so, or no more does.
std::string bytes_up_to(http_client& client, const std::string& end) {
  std::string out;
  char some[1024];
  while (!out.ends_with(end) && client.begins_to_answer(5s)) {
    auto size = ::recv(client.fd(), some, sizeof some, MSG_DONTWAIT);
    if (size <= 0)
      break;
    out.append(some, static_cast<size_t>(size));
  }
  return out;
}
const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";

bool says(const http_answer& answer, const std::string& code) {
  return answer.body.find("\"code\":\"" + code + "\"") != std::string::npos;
}

} // namespace

TEST_CASE("event loop: whoever sends events hears what became of them") {
  loop_fixture at;
  at.start();
  http_client client{at.port};
  auto send = [&](const std::string& body, const ingest_outcome& outcome,
                  const std::string& target = "/api/v1/events") {
    client.send(events(body, target));
    CHECK(at.has_turns());
    at.backend->store(outcome);
    return client.read();
  };
  auto stored = send(event_body, {.stored = 1});
  CHECK(stored.status == 200);
  CHECK(stored.body == R"({"stored":1,"duplicates":0,"rejected":[],"durability":"committed"})");
  auto spooled = send(event_body, {.stored = 1, .spooled = true});
  CHECK(spooled.status == 202);
  CHECK(spooled.body.find(R"("durability":"spooled")") != std::string::npos);
  auto busy = send(event_body, {.error = error_code::overloaded, .retry_after_s = 7});
  CHECK(busy.status == 503);
  CHECK(says(busy, "overloaded"));
  CHECK(busy.headers["retry-after"] == "7");
  auto unknown = send(event_body, {.error = error_code::outcome_unknown, .retry_after_s = 7});
  CHECK(unknown.status == 500);
  CHECK_FALSE(unknown.headers.contains("retry-after"));
  CHECK(at.has_answered(4, 1));
  CHECK(at.loop->counts().accepted == 1);
  CHECK(at.loop->counts().by_class == std::array<uint64_t, 6>{0, 0, 2, 0, 0, 2});
}

TEST_CASE("event loop: events that the database refuses are told with their places") {
  loop_fixture at;
  at.start();
  http_client client{at.port};
  std::string three = R"([{"feature":"a"},{"x":1},{"feature":"b"}])";
  ingest_outcome refused{.refused = {{0, 1, error_code::refused_by_store, "a rule"}}};
  auto part = refused;
  part.stored = 1;
  client.send(events(three));
  REQUIRE(at.has_turns());
  CHECK(at.backend->store(part) == 2);
  auto answer = client.read();
  CHECK(answer.status == 200);
  CHECK(answer.body.starts_with(R"({"stored":1,"duplicates":0,"rejected":[{"index":1,)"));
  CHECK(answer.body.find(R"({"index":2,"code":"refused_by_store")") != std::string::npos);
  client.send(events(R"([{"feature":"a"},{"feature":"b"}])", "/api/v1/events?atomic=true"));
  REQUIRE(at.has_turns());
  at.backend->store(refused);
  auto whole = client.read();
  CHECK(whole.status == 400);
  CHECK(says(whole, "atomic_refused"));
  client.send(events(event_body));
  REQUIRE(at.has_turns());
  at.backend->store({.refused = {{0, 0, error_code::refused_by_store, "a rule"}}});
  auto none = client.read();
  CHECK(none.status == 400);
  CHECK(says(none, "nothing_valid"));
  CHECK(none.body.find("a rule") != std::string::npos);
}

TEST_CASE("event loop: a request that fails inside is answered, and the next one is served") {
  recorded_log log;
  loop_fixture at;
  at.shared->ready = true;
  at.start();
  http_client client{at.port};
  at.backend->throws = true;
  client.send("GET /health/ready HTTP/1.1\r\nHost: t\r\n\r\n");
  auto failed = client.read();
  CHECK(failed.status == 500);
  CHECK(says(failed, "internal"));
  CHECK(failed.body.find("nobody is there") == std::string::npos); // that is for the log
  CHECK(log.contains("http fails at a request id=" + failed.headers["x-request-id"]
                     + " cause=nobody is there"));
  client.send(alive);
  CHECK(client.read().status == 200);
  CHECK(at.has_answered(2));
}

TEST_CASE("event loop: what asks for us is not counted, what only looks like it is") {
  loop_fixture at;
  at.start();
  for (int i = 0; i < 3; ++i)
    CHECK(get(at.port, "/health/live", "X-Phi-Probe: " + probe_sign() + "\r\n").status == 200);
  CHECK(eventually([&] { return at.loop->counts().connections == 0; }, 5s));
  CHECK(at.loop->counts().requests == 0);
  CHECK(at.loop->counts().accepted == 0);
  CHECK(get(at.port, "/health/live", "X-Phi-Probe: 1" + probe_sign() + "\r\n").status == 200);
  CHECK(at.has_answered(1));
  CHECK(at.loop->counts().accepted == 1);
}

TEST_CASE("event loop: what is no request is answered and counted, and no actor hears of it") {
  loop_fixture at;
  at.start();
  http_client client{at.port};
  client.send("GET / HTTP/1.1\r\n\r\n");
  auto refused = client.read();
  CHECK(refused.status == 400);
  CHECK(says(refused, "missing_host"));
  CHECK(client.ended());
  CHECK(at.has_answered(1));
  CHECK(at.backend->turns() == 0);
}

TEST_CASE("event loop: actors that do not answer in time are answered for, once") {
  loop_fixture at;
  at.shared->settings.server.request_timeout_ms = 20;
  at.start();
  http_client asks{at.port};
  http_client sends{at.port};
  asks.send(question);
  sends.send(events(event_body));
  auto timeout = asks.read();
  CHECK(timeout.status == 503);
  CHECK(says(timeout, "query_timeout"));
  auto unknown = sends.read();
  CHECK(unknown.status == 500);
  CHECK(says(unknown, "outcome_unknown"));
  CHECK(unknown.body.find("send them again with the same ids") != std::string::npos);
  REQUIRE(at.has_turns());
  at.backend->store({.stored = 1}); // too late: that is nobody's
  at.backend->answer("[]");
  asks.send(alive);
  CHECK(asks.read().body == R"({"status":"ok"})");
  sends.send(alive);
  CHECK(sends.read().body == R"({"status":"ok"})");
  CHECK(at.has_answered(4, 1));
}

TEST_CASE("event loop: of a client that has gone the actors learn, of one that waits not") {
  loop_fixture at;
  at.start();
  auto goes = std::make_unique<http_client>(at.port);
  goes->send(question);
  REQUIRE(at.has_questions(1));
  http_client waits{at.port};
  waits.send(question);
  REQUIRE(at.has_questions(2));
  goes.reset();
  auto asker_gone = [&](size_t i) {
    std::lock_guard lock{at.backend->mutex};
    return at.backend->kept.questions.at(i)->abandoned();
  };
  CHECK(eventually([&] { return asker_gone(0); }, 5s));
  CHECK_FALSE(asker_gone(1));
}

TEST_CASE("event loop: an escalation leaves events their time, a cut leaves nobody any") {
  loop_fixture at;
  at.start();
  http_client idle{at.port};
  idle.send(alive);
  CHECK(idle.read().status == 200);
  http_client sends{at.port};
  sends.send(events(event_body));
  REQUIRE(at.has_turns());
  http_client asks{at.port};
  asks.send(question);
  REQUIRE(at.has_questions());
  at.stop();
  at.loop->escalate();
  auto stopping = asks.read();
  CHECK(stopping.status == 503);
  CHECK(says(stopping, "stopping"));
  CHECK(stopping.closes());
  CHECK(idle.ended());
  CHECK(eventually([&] { return at.loop->counts().connections == 1; }, 5s));
  CHECK(at.loop->counts().in_flight == 1);
  CHECK(at.drained == 0);
  SUBCASE("in time") {
    at.backend->store({.stored = 1});
    auto stored = sends.read();
    CHECK(stored.status == 200);
    CHECK(stored.closes());
  }
  SUBCASE("never") {
    at.loop->cut();
    auto cut = sends.read();
    CHECK((cut.status == 0 || says(cut, "outcome_unknown"))); // if that could still be said
    CHECK(sends.ended());
  }
  CHECK(eventually([&] { return at.drained == 1; }, 5s));
  CHECK(at.loop->counts().in_flight == 0);
}

TEST_CASE("event loop: one that hangs is silent for as long, and alive again when it goes on") {
  std::binary_semaphore hangs{0};
  std::binary_semaphore goes_on{0};
  loop_fixture at;
  at.backend->on_submit = [&] {
    hangs.release();
    [[maybe_unused]] bool told = goes_on.try_acquire_for(10s);
  };
  at.start();
  CHECK(at.loop->life().accepts);
  CHECK(eventually([&] { return at.loop->life().silent_for == duration::zero(); }, 5s));
  http_client client{at.port};
  auto before = clock::now();
  CHECK(eventually([&] { return at.loop->life().silent_for == duration::zero(); }, 5s));
  client.send(events(event_body));
  hangs.acquire();
  at.loop->life(); // a task that it does not come to
  CHECK(eventually([&] { return at.loop->life().silent_for >= 30ms; }, 5s));
  auto silent = at.loop->life().silent_for;
  CHECK(silent <= clock::now() - before);
  CHECK(at.loop->life().accepts);
  CHECK(at.loop->counts().in_flight == 1); // can be read all the same
  goes_on.release();
  CHECK(eventually([&] { return at.loop->life().silent_for == duration::zero(); }, 5s));
  at.stop();
  CHECK(eventually([&] { return !at.loop->life().accepts; }, 5s));
}

TEST_CASE("event loop: its own record of a request is handed on before a stop is over") {
  std::atomic<int> drained_before{-1};
  loop_fixture at;
  at.shared->settings.stats.track_requests = true;
  at.backend->on_submit = [&] { drained_before = at.drained.load(); };
  at.start();
  http_client client{at.port};
  client.send(question);
  REQUIRE(at.has_questions());
  at.stop();
  at.backend->answer("[]");
  CHECK(client.read().status == 200);
  CHECK(eventually([&] { return at.drained == 1; }, 5s));
  REQUIRE(at.backend->turns() == 1);
  CHECK(drained_before == 0);
  const auto& own = at.backend->kept.turns[0]->requests.at(0);
  CHECK_FALSE(own.awaited);
  CHECK(own.events.at(0).route == "/api/v1/stats/daily");
  CHECK(own.events.at(0).status == 200);
}

TEST_CASE("event loop: new settings hold for what comes then") {
  loop_fixture at;
  at.start();
  http_client client{at.port};
  client.send(events(event_body));
  REQUIRE(at.has_turns());
  at.backend->store({.stored = 1});
  CHECK(client.read().status == 200);
  auto next = std::make_shared<config>(at.shared->settings);
  next->stats.max_event_bytes = 64;
  at.loop->apply_settings(next);
  std::string long_event = R"({"feature":")" + std::string(64, 'x') + R"("})";
  client.send(events(long_event));
  auto refused = client.read();
  CHECK(refused.status == 400);
  CHECK(refused.body.find("event_too_large") != std::string::npos);
  CHECK(at.shared->settings.stats.max_event_bytes == defaults::max_event_bytes); // the others'
}

TEST_CASE("event loop: one that cannot listen says why, and ends") {
  loop_fixture at;
  at.loop = make_event_loop(at.shared);
  CHECK_FALSE(at.loop->start(std::vector<owned_fd>(1), false));
  CHECK_FALSE(at.loop->life().accepts);
}

TEST_CASE("event loop: what is refused before its body comes is recorded, as its client's") {
  loop_fixture at;
  at.shared->settings.stats.track_requests = true;
  at.shared->settings.server.trusted_proxies = {"127.0.0.0/8"};
  at.shared->salt = "salt";
  at.start();
  const std::string waits = " HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n"
                            "X-Forwarded-For: 203.0.113.9\r\nx-forwarded-for: 127.0.0.2\r\n";
  http_client client{at.port};
  client.send("POST /api/v1/events" + waits + "Content-Type: a/b\r\n\r\n");
  CHECK(client.read().status == 415);
  REQUIRE(at.has_turns());
  const auto& own = at.backend->kept.turns[0]->requests.at(0).events.at(0);
  CHECK(own.status == 415);
  CHECK(own.route == "/api/v1/events");
  CHECK(own.address_hash == keyed_hash{"salt"}.of("203.0.113.9"));
  CHECK(own.time_us > 1'700'000'000'000'000);
}

TEST_CASE("event loop: a question what may be done is answered once, though it waits with a body") {
  loop_fixture at;
  at.start();
  http_client client{at.port};
  client.send("OPTIONS /health HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
              "Content-Length: 2\r\n\r\n");
  CHECK(bytes_up_to(client, go_on) == go_on);
  CHECK(at.loop->counts().requests == 0);
  client.send("ab");
  auto answer = client.read();
  CHECK(answer.status == 200);
  CHECK(answer.headers["allow"] == "GET, HEAD, OPTIONS");
  CHECK(at.has_answered(1));
}

TEST_CASE("event loop: who waits for a word behind another request gets it, each in its turn") {
  loop_fixture at;
  at.start();
  const std::string waits = " HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                            "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n";
  http_client client{at.port};
  client.send(alive + "POST /api/v1/events" + waits);
  CHECK(bytes_up_to(client, go_on).ends_with(R"({"status":"ok"})" + go_on));
  client.send(event_body);
  REQUIRE(at.has_turns());
  CHECK(at.backend->store({.stored = 1}) == 1);
  CHECK(client.read().status == 200);
  client.send(alive + "POST /nowhere" + waits);
  CHECK(client.read().body == R"({"status":"ok"})");
  CHECK(client.read().status == 404);
  CHECK(client.ended());
}

TEST_CASE("event loop: a page that gives its own name our address reads nothing") {
  loop_fixture at;
  at.start();
  auto ask = [&](const std::string& host) {
    http_client client{at.port};
    client.send("GET /api/v1/stats/summary?start=2026-01-31&end=2026-01-01 HTTP/1.1\r\nHost: "
                + host + "\r\n\r\n");
    return client.read();
  };
  auto port = std::to_string(at.port);
  auto refused = ask("evil.example.com:" + port);
  CHECK(refused.status == 403);
  CHECK(refused.body.find("Host is evil.example.com:" + port + ", which may be a page's way")
        != std::string::npos);
  for (const auto& host : {"localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port,
                           "phi.localhost:" + port, std::string{"stats.example.com"}}) {
    CAPTURE(host);
    CHECK(ask(host).status == 422); // as for a question that is wrong
  }
}
