// GET /stats/live on the real service: readers that read, one that never does, and a stop between.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>
#include <sstream>
#include <sys/socket.h>
#include <thread>
#include <vector>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;
using steady = std::chrono::steady_clock;

namespace {

const settings quiet{{"APP_STATS_TRACK_REQUESTS", "false"}};

struct sent {
  std::string event;
  json data;
};

/// What curl has written: server-sent events, read as the standard says.
std::vector<sent> read_stream(const std::string& text) {
  std::vector<sent> out;
  std::istringstream lines{text};
  sent now;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("event: "))
      now.event = line.substr(7);
    else if (line.starts_with("data: "))
      now.data = json::parse(line.substr(6));
    else if (line.empty() && !now.event.empty())
      out.push_back(std::exchange(now, {}));
  }
  return out;
}

/// A curl that reads in the background into a file.
struct curl_reader {
  curl_reader(const temp_dir& dir, uint16_t port, const std::string& name)
    : file(dir.path(name)),
      thread([this, port] {
        shell("curl -sN 'http://localhost:" + std::to_string(port)
              + "/api/v1/stats/live?events=true' > " + file);
      }) {}
  ~curl_reader() { thread.join(); } // it ends with the service

  std::vector<sent> all() const { return read_stream(read_file(file)); }
  size_t count(const std::string& event) const {
    size_t out = 0;
    for (const auto& each : all())
      out += each.event == event;
    return out;
  }

  std::string file;
  std::thread thread;
};

template <class Condition>
bool soon(Condition holds, std::chrono::milliseconds limit = 10s) {
  for (auto until = steady::now() + limit; steady::now() < until;) {
    if (holds()) // asked once more it may hold no longer: it may open a stream
      return true;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

std::string stream_request(const std::string& query = "") {
  return "GET /api/v1/stats/live" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

void send(uint16_t port, int from, int to) {
  std::string lines;
  for (int i = from; i < to; ++i)
    lines += R"({"feature":"f)" + std::to_string(i) + R"(","id":")" + std::to_string(i) + "\"}\n";
  CHECK(post(port, "/api/v1/events", lines, "application/x-ndjson").status == 200);
}

} // namespace

TEST_CASE("live: curl gets every event once and in order, counters, and the stop as the last word; "
          "a reader that never reads holds neither them nor the stop") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  send(service.port(), 0, 3); // before anybody reads
  http_client silent{service.port()};
  CHECK(silent.send(stream_request("?events=true")));
  std::vector<sent> seen;
  {
    curl_reader reader{dir, service.port(), "stream"};
    CHECK(soon([&] { return reader.count("begin") == 1; }));
    for (int i = 0; i < 20; ++i)
      send(service.port(), 3 + i * 100, 3 + (i + 1) * 100);
    send(service.port(), 3, 6); // known already
    CHECK(soon([&] { return reader.count("event") == 2000; }));
    CHECK(soon([&] { return reader.count("counters") >= 3; }));
    auto end = service.stop();
    CHECK(end.code == 0);
    CHECK(end.took < 1s);
    CHECK(soon([&] { return reader.count("stopping") == 1; }));
    seen = reader.all();
  }
  int next = 3;
  for (const auto& each : seen)
    if (each.event == "event")
      CHECK(each.data["feature"] == "f" + std::to_string(next++));
  CHECK(next == 2003);
  CHECK(seen.back().event == "stopping");
  CHECK(seen.back().data == json{{"events", 2000}, {"dropped", 0}});
  json last;
  for (const auto& each : seen)
    if (each.event == "counters")
      last = each.data;
  CHECK(last["received"] == 2006);
  CHECK(last["stored"] == 2003);
  CHECK(last["duplicates"] == 3);
  CHECK(last["status"] == "ok");
}

TEST_CASE("live: a bounded number of readers, and a place is free again when one goes") {
  temp_dir dir;
  auto env = quiet;
  env["APP_SERVER_THREADS"] = "1";
  service_process service{dir.path(), env};
  std::vector<std::unique_ptr<http_client>> readers;
  for (int i = 0; i < 32; ++i) {
    readers.push_back(std::make_unique<http_client>(service.port()));
    CHECK(readers.back()->send(stream_request()));
    CHECK(readers.back()->begins_to_answer());
  }
  auto refused = get(service.port(), "/api/v1/stats/live");
  CHECK(refused.status == 503);
  CHECK(has(refused.body, "too_many_streams"));
  CHECK(refused.headers.contains("retry-after"));
  readers.pop_back();
  CHECK(soon([&] {
    http_client again{service.port()};
    again.send(stream_request());
    again.begins_to_answer();
    char head[16] = {};
    return ::recv(again.fd(), head, 12, MSG_WAITALL) == 12 && std::string{head} == "HTTP/1.1 200";
  }));
  CHECK(service.stop().code == 0);
}

TEST_CASE("live: parameters and scopes are checked") {
  temp_dir dir;
  service_process service{dir.path(), quiet};
  CHECK(get(service.port(), "/api/v1/stats/live?events=perhaps").status == 422);
  CHECK(get(service.port(), "/api/v1/stats/live?start=today").status == 422);
  auto made = ctl(dir, {"--json", "token", "create", "--name", "i", "--scope", "ingest", "--yes"});
  auto secret = json::parse(made.out)["secret"].get<std::string>();
  CHECK(get(service.port(), "/api/v1/stats/live").status == 401);
  CHECK(get(service.port(), "/api/v1/stats/live", "Authorization: Bearer " + secret + "\r\n").status
        == 403);
}
