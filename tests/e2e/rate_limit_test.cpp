// How often clients may ask, on the real service: the guilty are told when to come again, and
// nobody else notices.

#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/service_process.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

using namespace phi::testing;
using json = nlohmann::json;

namespace {

constexpr const char* one_event = R"({"feature":"f"})";

/// We are a proxy that is trusted: any client is ours to play. A request comes back in 720 s, so
/// that no machine is slow enough to see one come back.
settings five_an_hour() {
  return {{"APP_SERVER_TRUSTED_PROXIES", "127.0.0.1"},
          {"APP_SERVER_RATE_LIMIT_PER_ADDRESS", "5"},
          {"APP_SERVER_RATE_LIMIT_WINDOW_SECS", "3600"},
          {"APP_STATS_TRACK_REQUESTS", "false"}};
}

http_answer send(const service_process& service, const std::string& forwarded_for,
                 const std::string& more = "") {
  return post(service.port(), "/api/v1/events", one_event, "application/json",
              "X-Forwarded-For: " + forwarded_for + "\r\n" + more);
}

json status_of(const temp_dir& dir) {
  return json::parse(ctl(dir, {"--json", "status"}).out);
}

uint64_t limited(const json& status) {
  for (const auto& actor : status["actors"])
    if (actor["actor"] == "http")
      return actor["says"]["gauges"]["rate_limited"];
  return 0;
}

} // namespace

TEST_CASE("rate limit: who asks too often is refused, beside others who are not") {
  temp_dir dir;
  service_process service{dir.path(), five_an_hour()};
  const std::string guilty = "203.0.113.7";
  for (int left = 4; left >= 0; --left) {
    auto taken = send(service, guilty);
    CHECK(taken.status == 200);
    CHECK(taken.headers.at("ratelimit-policy") == R"("address";q=5;w=3600)");
    CHECK(
      taken.headers.at("ratelimit").starts_with(R"("address";r=)" + std::to_string(left) + ";t="));
  }
  for (int i = 0; i < 20; ++i) {
    auto refused = send(service, guilty);
    CHECK(refused.status == 429);
    CHECK(refused.headers.at("content-type") == "application/problem+json");
    auto wait = std::stoi(refused.headers.at("retry-after"));
    CHECK(wait > 600);
    CHECK(wait <= 720);
    CHECK(json::parse(refused.body)["code"] == "rate_limited");
    auto innocent = send(service, "203.0.113." + std::to_string(100 + i));
    CHECK(innocent.status == 200);
    CHECK(innocent.headers.at("ratelimit") == R"("address";r=4;t=720)");
  }
  CHECK(get(service.port(), "/api/v1/stats/summary", "X-Forwarded-For: " + guilty + "\r\n").status
        == 429);
  // The proxy has seen who it is, whatever the client has written before.
  CHECK(send(service, "198.51.100.1, " + guilty).status == 429);
  CHECK(send(service, guilty + ", 198.51.100.1").status == 200);
  for (const auto* path : {"/health", "/health/live", "/health/ready", "/"})
    for (int i = 0; i < 10; ++i) {
      auto seen = get(service.port(), path, "X-Forwarded-For: " + guilty + "\r\n");
      CHECK(seen.status == 200);
      CHECK_FALSE(seen.headers.contains("ratelimit"));
    }
  auto early =
    http_client{service.port()}.post("/api/v1/events", one_event, "application/json",
                                     "X-Forwarded-For: " + guilty + "\r\nExpect: 100-continue\r\n");
  CHECK(early.status == 429);
  CHECK(early.headers.contains("retry-after"));
  auto status = status_of(dir);
  CHECK(limited(status) == 23);
  CHECK(status["ledger"]["received"] == 26);
  CHECK(status["ledger"]["stored"] == 26);
  CHECK(has(ctl(dir, {"status"}).out, ", over their rate limit 23\n"));
  CHECK(service.stop().code == 0);
}

TEST_CASE("rate limit: a network of IPv6 is one client, and whoever is no proxy is itself") {
  temp_dir dir;
  service_process service{dir.path(), five_an_hour()};
  for (int i = 0; i < 5; ++i)
    CHECK(send(service, "2001:db8:1:2::" + std::to_string(i)).status == 200);
  CHECK(send(service, "2001:db8:1:2:ffff::1").status == 429);
  CHECK(send(service, "2001:db8:1:3::1").status == 200);
  auto untrusting = five_an_hour();
  untrusting.erase("APP_SERVER_TRUSTED_PROXIES");
  temp_dir other;
  service_process strict{other.path(), untrusting};
  for (int i = 0; i < 5; ++i)
    CHECK(send(strict, "203.0.113." + std::to_string(i)).status == 200);
  CHECK(send(strict, "203.0.113.99").status == 429);
}

TEST_CASE("rate limit: a token has its own quota, from whatever address") {
  temp_dir dir;
  service_process service{dir.path(),
                          {{"APP_SERVER_TRUSTED_PROXIES", "127.0.0.1"},
                           {"APP_SERVER_RATE_LIMIT_PER_TOKEN", "3"},
                           {"APP_SERVER_RATE_LIMIT_WINDOW_SECS", "3600"}}};
  auto token = [&](const char* name) {
    auto made = ctl(dir, {"token", "create", "--scope", "ingest", "--name", name, "--yes"}).out;
    return "Authorization: Bearer " + made.substr(0, made.find('\n')) + "\r\n";
  };
  const auto guilty = token("guilty");
  const auto innocent = token("innocent");
  for (int i = 0; i < 3; ++i)
    CHECK(send(service, "203.0.113." + std::to_string(i), guilty).status == 200);
  auto refused = send(service, "203.0.113.77", guilty);
  CHECK(refused.status == 429);
  CHECK(refused.headers.at("ratelimit").starts_with(R"("token";r=0;t=)"));
  CHECK(send(service, "203.0.113.1", innocent).status == 200);
  for (int i = 0; i < 10; ++i)
    CHECK(send(service, "203.0.113.1", "Authorization: Bearer wrong\r\n").status == 401);
  CHECK(send(service, "203.0.113.1", innocent).status == 200);
}

TEST_CASE("rate limit: a reload turns it on, changes it, and turns it off") {
  temp_dir dir;
  auto write = [&](int quota) {
    std::ofstream{dir.path("c.toml")} << "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n"
                                      << "[server.rate_limit]\nper_address = " << quota
                                      << "\nwindow_secs = 3600\n";
  };
  write(0);
  service_process service{dir.path(), {}, true, dir.path("c.toml")};
  auto admitted = [&] {
    int count = 0;
    while (count < 20 && send(service, "203.0.113.7").status == 200)
      ++count;
    return count;
  };
  CHECK(admitted() == 20);
  CHECK_FALSE(send(service, "203.0.113.7").headers.contains("ratelimit"));
  write(4);
  CHECK(has(ctl(dir, {"reload"}).out, "server.rate_limit.per_address: 0 -> 4"));
  CHECK(admitted() == 4);
  write(8); // all of the window is spent, whatever is to be had in it
  CHECK(ctl(dir, {"reload"}).code == 0);
  CHECK(admitted() == 0);
  write(0);
  CHECK(ctl(dir, {"reload"}).code == 0);
  CHECK(admitted() == 20);
}

TEST_CASE("rate limit: event loops share a quota, to the request") {
  temp_dir dir;
  auto env = five_an_hour();
  env["APP_SERVER_THREADS"] = "4";
  env["APP_SERVER_RATE_LIMIT_PER_ADDRESS"] = "100";
  service_process service{dir.path(), env};
  std::atomic<int> taken{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i)
    clients.emplace_back([&] {
      http_client client{service.port()};
      for (int n = 0; n < 10; ++n) {
        auto status = client
                        .post("/api/v1/events", one_event, "application/json",
                              "X-Forwarded-For: 203.0.113.7\r\n")
                        .status;
        taken += status == 200;
        refused += status == 429;
      }
    });
  for (auto& client : clients)
    client.join();
  CHECK(taken == 100);
  CHECK(refused == 60);
  CHECK(status_of(dir)["ledger"]["stored"] == 100);
}
