#include "tests/soak/senders.hpp"

#include <sys/socket.h>

namespace phi::soak {

using namespace std::chrono_literals;
using testing::http_client;

namespace {

constexpr int sender_count = 5;
const std::string events_path = "/api/v1/events";
const std::string lines_type = "application/x-ndjson";

struct batch {
  std::vector<std::string> ids;
  std::string body;
};

std::string event_line(const std::string& feature, const std::string& id) {
  return R"({"feature":")" + feature + R"(","id":")" + id + R"(","action":")" + id
         + R"(","status":200,"durationMs":2.5})" + "\n";
}

batch new_batch(soaked_service& at, chance& by) {
  batch out;
  for (int n = by.one_in(3) ? by.between(2, 40) : 1; n > 0; --n) {
    out.ids.push_back(at.next_id("e"));
    out.body += event_line(at.phase(), out.ids.back());
  }
  return out;
}

} // namespace

senders::senders(soaked_service& at, uint64_t seed) {
  for (int i = 0; i < sender_count; ++i)
    threads_.emplace_back([this, &at, i, seed] { run(at, i, seed + static_cast<uint64_t>(i)); });
}

void senders::finish() {
  stop_ = true;
  for (auto& thread : threads_)
    if (thread.joinable())
      thread.join();
}

void senders::run(soaked_service& at, int number, uint64_t seed) {
  chance by{seed};
  bool keeps = number % 2 == 0; // its connection
  bool again = number % 3 != 0; // sends again what it has no answer to
  std::unique_ptr<http_client> connection;
  batch under_way;
  int tries = 0;
  while (!stop_) {
    if (under_way.ids.empty()) {
      under_way = new_batch(at, by);
      at.events().sent(under_way.ids);
      tries = 0;
    }
    if (!connection || !keeps)
      connection = std::make_unique<http_client>(at.port());
    if (!connection->connected()) {
      connection.reset();
      std::this_thread::sleep_for(10ms);
      continue;
    }
    auto answer = connection->post(events_path, under_way.body, lines_type);
    bool done = at.events().answered(under_way.ids, answer);
    if (answer.status == 0 || answer.closes())
      connection.reset();
    if (done || !again || ++tries > 50)
      under_way = {};
    if (!done)
      std::this_thread::sleep_for(10ms);
    by.wait_ms(5, 30);
  }
}

void send_batch(soaked_service& at, chance& by, bool poison) {
  auto now = new_batch(at, by);
  at.events().sent(now.ids);
  if (poison) {
    auto id = at.next_id("poison");
    at.events().sent({id}, fate::forbidden);
    now.ids.push_back(id);
    now.body += event_line(at.phase(), id);
  }
  http_client client{at.port()};
  if (client.connected())
    at.events().answered(now.ids, client.post(events_path, now.body, lines_type));
}

void connect_and_reset(soaked_service& at, chance& by) {
  for (int i = by.between(200, 2000); i > 0; --i) {
    http_client client{at.port()};
    if (!client.connected())
      continue;
    linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (by.one_in(3))
      client.send("GET /health HTTP/1.1\r\nHost: x\r\n");
  }
}

void slow_clients(soaked_service& at, chance& by) {
  std::vector<std::unique_ptr<http_client>> them;
  for (int i = by.between(5, 30); i > 0; --i)
    them.push_back(std::make_unique<http_client>(at.port()));
  std::string text = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
  for (char byte : text.substr(0, static_cast<size_t>(by.between(5, 60)))) {
    for (auto& one : them)
      if (one->connected())
        one->send(std::string(1, byte));
    std::this_thread::sleep_for(20ms);
  }
  by.wait_ms(100, 1000);
}

void half_open(soaked_service& at, chance& by) {
  testing::tcp_proxy network{at.port()};
  std::vector<std::unique_ptr<http_client>> them;
  for (int i = by.between(2, 20); i > 0; --i) {
    them.push_back(std::make_unique<http_client>(network.port()));
    if (them.back()->connected())
      them.back()->send("POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[");
  }
  std::this_thread::sleep_for(50ms);
  network.cut();
  by.wait_ms(500, 3000);
}

void abandoned_questions(soaked_service& at, chance& by) {
  const std::vector<std::string> questions{"summary", "features", "timeseries", "routes", "users"};
  for (int i = by.between(20, 80); i > 0; --i) {
    http_client client{at.port()};
    if (client.connected())
      client.send("GET /api/v1/stats/" + by.of(questions) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }
}

void wrong_input(soaked_service& at, chance& by) {
  const std::vector<std::string> bodies{"",
                                        "{",
                                        "[1,2",
                                        R"({"feature":1})",
                                        R"({"feature":"f","durationMs":"soon"})",
                                        R"({"feature":"f","time":"yesterday"})",
                                        "{\"feature\":\"caf\xe9\"}",
                                        std::string(3000, '['),
                                        R"({"feature":"\ud800"})",
                                        R"({"feature":"f","status":1e400})",
                                        std::string(100, '\0')};
  const std::vector<std::string> targets{"/api/v1/events",
                                         "/api/v1/stats/summary?feature=caf%E9",
                                         "/api/v1/stats/summary?timezone=" + std::string(500, 'A'),
                                         "/api/v1/stats/features?top=-1",
                                         "/%00",
                                         "/api/v1/nowhere"};
  for (int i = by.between(50, 200); i > 0; --i) {
    const auto& target = by.of(targets);
    http_client client{at.port()};
    if (!client.connected())
      continue;
    auto answer = target == targets[0] ? client.post(target, by.of(bodies)) : client.get(target);
    // 503: a fault of the world under it.
    if (answer.status >= 500 && answer.status != 503)
      at.wrong("wrong input is answered " + std::to_string(answer.status) + ": " + answer.body);
  }
}

void poison(soaked_service& at, chance& by) {
  for (int i = by.between(1, 8); i > 0; --i) {
    send_batch(at, by, true);
    by.wait_ms(1, 200);
  }
}

} // namespace phi::soak
