#include "tests/support/load.hpp"

#include "tests/support/http_client.hpp"

#include <memory>
#include <sys/resource.h>
#include <unistd.h>

namespace phi::testing {

load::load(uint16_t port, const std::string& feature, int clients, int events_per_request,
           const std::string& prefix) {
  // Many clients are on other machines: here each of their threads would get as much of the
  // processor as the store's.
  bool many = clients >= 64;
  for (int i = 0; i < clients; ++i)
    clients_.emplace_back([=, this] {
      if (many)
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 15);
      run(i, port, feature, events_per_request, prefix);
    });
}

load::~load() {
  finish();
}

load_result load::finish() {
  stop_ = true;
  for (auto& client : clients_)
    if (client.joinable())
      client.join();
  return result_;
}

void load::run(int client, uint16_t port, const std::string& feature, int events,
               const std::string& prefix) {
  using namespace std::chrono_literals;
  bool keeps = client % 2 == 0;
  load_result mine;
  std::unique_ptr<http_client> connection;
  for (uint64_t number = 0; !stop_;) {
    if (!connection || !keeps)
      connection = std::make_unique<http_client>(port);
    if (!connection->connected()) {
      connection.reset();
      ++mine.connections_refused;
      std::this_thread::sleep_for(1ms);
      continue;
    }
    std::vector<std::string> ids;
    std::string body;
    for (int i = 0; i < events; ++i) {
      ids.push_back(prefix + "c" + std::to_string(client) + "-" + std::to_string(number++));
      body += R"({"feature":")" + feature + R"(","id":")" + ids.back() + R"(","action":")"
              + ids.back()
              + R"(","status":200,"durationMs":1.5,"userHash":"0123456789abcdef0123456789abcdef"})"
              + "\n";
    }
    auto answer = connection->post("/api/v1/events", body, "application/x-ndjson");
    ++mine.requests;
    if (answer.status == 200 || answer.status == 202) {
      mine.spooled += answer.status == 202;
      mine.acknowledged.insert(ids.begin(), ids.end());
      acknowledged_ += ids.size();
    } else if (answer.status == 503) {
      mine.refused.insert(ids.begin(), ids.end());
    } else if (answer.status == 0) {
      ++mine.resets_after_send;
    } else {
      ++mine.other_answers;
    }
    if (answer.status == 0 || answer.closes())
      connection.reset();
  }
  std::lock_guard lock{mutex_};
  result_.acknowledged.merge(mine.acknowledged);
  result_.refused.merge(mine.refused);
  result_.requests += mine.requests;
  result_.spooled += mine.spooled;
  result_.connections_refused += mine.connections_refused;
  result_.resets_after_send += mine.resets_after_send;
  result_.other_answers += mine.other_answers;
}

} // namespace phi::testing
