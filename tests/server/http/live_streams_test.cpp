// Live streams over one event loop on loopback, before actors that the test plays.

#include "config/defaults.hpp"
#include "server/http/event_loop.hpp"
#include "server/http/live_streams.hpp"
#include "server/platform/listener.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/recorded_backend.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>

using namespace phi;
using namespace phi::http;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

/// Answers at once: with the ledger, and with the events that the test has put there.
struct live_backend : recorded_backend {
  using recorded_backend::ask;
  void submit(ingest_turn_ptr) override {}
  void ask(asked_ptr<health_query> question) override {
    question->reply.answer({.body = R"({"status":"ok","ledger":{"received":7}})"});
  }
  void ask(asked_ptr<reader_query> question) override {
    std::lock_guard lock{mutex};
    auto query = std::get<recent_events_query>(question->question);
    auto from = query.after.value_or(last - 1);
    asked_behind = from;
    std::string events;
    int64_t at = from;
    for (uint32_t i = 0; i < query.limit && at < last; ++i)
      events += (events.empty() ? "" : ",") + (R"({"seq":)" + std::to_string(++at))
                + R"(,"feature":")" + std::string(feature_bytes, 'x') + "\"}";
    question->reply.answer({.body = R"({"events":[)" + events + R"(],"last":)" + std::to_string(at)
                                    + R"(,"held":false})"});
  }
  void commit(int64_t count) {
    std::lock_guard lock{mutex};
    last += count;
  }

  std::mutex mutex;
  int64_t last = 10;
  std::atomic<int64_t> asked_behind{0};
  size_t feature_bytes = 1;
};

struct stream_fixture {
  explicit stream_fixture(const std::string& query) {
    shared->settings.stats.track_requests = false;
    shared->tokens = std::make_shared<api::token_store>("/nonexistent/tokens.json");
    shared->backend = backend;
    shared->places = 100;
    loop = make_event_loop(shared);
    auto listener = open_listener("127.0.0.1", 0);
    REQUIRE(listener.why() == "");
    auto port = address_of(listener->get()).port;
    std::vector<owned_fd> all;
    all.push_back(std::move(*listener));
    REQUIRE(loop->start(std::move(all), false).why() == "");
    client = std::make_unique<http_client>(port);
    client->send("GET /api/v1/stats/live" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }

  /// Reads until all that has come holds `text`.
  bool reads(const std::string& text) {
    char some[65536];
    for (auto until = clock::now() + 10s; got.find(text) == got.npos && clock::now() < until;) {
      auto size = ::recv(client->fd(), some, sizeof some, 0);
      if (size <= 0)
        return got.find(text) != got.npos;
      got.append(some, static_cast<size_t>(size));
    }
    return got.find(text) != got.npos;
  }
  /// Reads whatever comes in this time.
  void reads_on(clock::duration time) {
    for (auto until = clock::now() + time; clock::now() < until;) {
      char some[65536];
      auto size = ::recv(client->fd(), some, sizeof some, MSG_DONTWAIT);
      if (size > 0)
        got.append(some, static_cast<size_t>(size));
      else
        std::this_thread::sleep_for(5ms);
    }
  }
  void begin_stop() {
    loop->stop_accepting([this] { ++drained; });
  }
  bool has_stopped() {
    return eventually([&] { return drained == 1; }, 5s);
  }
  bool stops() {
    begin_stop();
    return has_stopped();
  }

  std::shared_ptr<live_backend> backend = std::make_shared<live_backend>();
  std::shared_ptr<loop_shared> shared{new loop_shared{.routes = route_table{"/api/v1", true}}};
  std::atomic<int> drained{0};
  std::unique_ptr<event_loop> loop;
  std::unique_ptr<http_client> client;
  std::string got;
};

} // namespace

TEST_CASE("live: an event is written as the standard says") {
  CHECK(sent_event("a", "{}") == "event: a\ndata: {}\n\n");
  CHECK(sent_event("a", "{}", 5) == "event: a\nid: 5\ndata: {}\n\n");
}

TEST_CASE("live: counters at once, no events unless asked for, the stop as the last word") {
  stream_fixture at{""};
  CHECK(at.reads("\"received\":7"));
  CHECK(at.got.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(at.got.find("Content-Type: text/event-stream\r\n") != at.got.npos);
  CHECK(at.got.find("Transfer-Encoding: chunked\r\n") != at.got.npos);
  CHECK(at.got.find("Connection: close\r\n") != at.got.npos);
  CHECK(at.got.find("event: counters\ndata: {\"at\":\"") != at.got.npos);
  at.backend->commit(3);
  std::this_thread::sleep_for(2 * defaults::live_interval);
  CHECK(at.stops());
  CHECK(at.reads("event: stopping\ndata: {\"events\":0,\"dropped\":0}\n\n\r\n0\r\n\r\n"));
  CHECK(at.got.find("event: event") == at.got.npos);
  CHECK(at.client->ended());
}

TEST_CASE("live: events from now on, each once, more than a page too") {
  stream_fixture at{"?events=true"};
  CHECK(at.reads("event: begin\ndata: {\"after\":10}\n\n"));
  at.backend->commit(450);
  CHECK(at.reads("event: event\nid: 460\n"));
  CHECK(at.stops());
  CHECK(at.reads("event: stopping\ndata: {\"events\":450,\"dropped\":0}"));
  size_t from = 0;
  for (int i = 11; i <= 460; ++i) {
    from = at.got.find("event: event\nid: " + std::to_string(i) + "\n", from);
    REQUIRE(from != at.got.npos);
  }
  CHECK(at.got.find("event: event", from + 1) == at.got.npos);
}

TEST_CASE("live: a reader that does not read loses events, is told how many, and holds no stop") {
  stream_fixture at{"?events=true"};
  CHECK(at.reads("event: begin"));
  at.backend->feature_bytes = 1000;
  constexpr int64_t many = 40'000; // 40 MB: more than sockets and what waits can take
  at.backend->commit(many);
  std::this_thread::sleep_for(3s);
  auto began = clock::now();
  SUBCASE("until it reads on") {
    CHECK(at.reads("event: dropped\ndata: {\"events\":"));
    // To the end of all, or the rest would wait once more, and go with the connection.
    for (int i = 0; i < 600 && at.backend->asked_behind < 10 + many; ++i)
      at.reads_on(100ms);
    at.reads_on(500ms);
    at.begin_stop();
    CHECK(at.reads("event: stopping"));
    CHECK(at.reads("\n\n\r\n0\r\n\r\n"));
    CHECK(at.has_stopped());
    auto number_behind = [&](const std::string& text) {
      return std::stoll(at.got.substr(at.got.rfind(text) + text.size()));
    };
    auto events = number_behind("event: stopping\ndata: {\"events\":");
    auto dropped = number_behind(",\"dropped\":");
    CHECK(events + dropped == many);
    CHECK(dropped > 0);
    int64_t seen = 0;
    for (auto i = at.got.find("event: event\n"); i != at.got.npos;
         i = at.got.find("event: event\n", i + 1))
      ++seen;
    CHECK(seen == events);
  }
  SUBCASE("also when it never does") {
    CHECK(at.stops());
    CHECK(clock::now() - began < 1s);
  }
}
