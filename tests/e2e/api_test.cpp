// What senders and askers see, on the real process.

#include "tests/support/compressed.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"
#include "tests/support/stored.hpp"

#include <nlohmann/json.hpp>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

const std::string lines = "application/x-ndjson";

/// One line to the admin socket and its answer.
std::string ask_admin(const std::string& path, const std::string& line) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::snprintf(to.sun_path, sizeof to.sun_path, "%s", path.c_str());
  std::string out;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
    [[maybe_unused]] auto sent = ::write(fd, (line + "\n").c_str(), line.size() + 1);
    char c;
    while (::read(fd, &c, 1) == 1 && c != '\n')
      out += c;
  }
  ::close(fd);
  return out;
}

} // namespace

TEST_CASE("one event, an array, lines: stored and counted") {
  temp_dir dir;
  service_process service{dir.path()};
  auto port = service.port();
  auto one = post(port, "/api/v1/events", R"({"feature":"login","action":"ok"})");
  CHECK(one.status == 200);
  CHECK(one.body == R"({"stored":1,"duplicates":0,"rejected":[],"durability":"committed"})");
  CHECK(one.headers["content-type"] == "application/json");
  CHECK(
    post(port, "/api/v1/events", R"([{"feature":"a"},{"route":"/r","method":"GET","status":404}])")
      .body.find("\"stored\":2")
    != std::string::npos);
  CHECK(post(port, "/api/v1/events", "{\"feature\":\"a\"}\n\n{\"feature\":\"b\"}\n", lines)
          .body.find("\"stored\":2")
        != std::string::npos);
  CHECK(
    post(port, "/api/v1/events", "{\"feature\":\"a\"}", "application/json; charset=utf-8").status
    == 200);
  CHECK(service.stop().code == 0);
  CHECK(count_mismatch(in_file(service.database())) == "");
}

TEST_CASE("gzip and zstd bodies, and several gzip members") {
  temp_dir dir;
  service_process service{dir.path()};
  std::string body = "{\"feature\":\"a\"}\n{\"feature\":\"b\"}\n";
  CHECK(post(service.port(), "/api/v1/events", gzip(body), lines, "Content-Encoding: gzip\r\n")
          .body.find("\"stored\":2")
        != std::string::npos);
  CHECK(post(service.port(), "/api/v1/events", zstd(body), lines, "Content-Encoding: zstd\r\n")
          .body.find("\"stored\":2")
        != std::string::npos);
  CHECK(post(service.port(), "/api/v1/events", gzip(body) + gzip(body), lines,
             "Content-Encoding: gzip\r\n")
          .body.find("\"stored\":4")
        != std::string::npos);
  CHECK(
    post(service.port(), "/api/v1/events", gzip(body), lines, "Content-Encoding: GZIP\r\n").status
    == 200);
}

TEST_CASE("valid events are stored although others are not; atomic=true makes it all or nothing") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  std::string body = "{\"feature\":\"good\"}\n{\"feature\":7}\nnonsense\n{\"feature\":"
                     "\"a\\u0000b\"}\n{\"feature\":\"good\"}\n";
  auto mixed = json::parse(post(service.port(), "/api/v1/events", body, lines).body);
  CHECK(mixed["stored"] == 2);
  REQUIRE(mixed["rejected"].size() == 3);
  CHECK(mixed["rejected"][0]
        == json({{"index", 1},
                 {"code", "wrong_type"},
                 {"pointer", "/feature"},
                 {"message", "expected a text"}}));
  CHECK(mixed["rejected"][1]["index"] == 2);
  CHECK(mixed["rejected"][2]["code"] == "forbidden_character");
  auto atomic = post(service.port(), "/api/v1/events?atomic=true", body, lines);
  CHECK(atomic.status == 400);
  CHECK(json::parse(atomic.body)["code"] == "atomic_refused");
  CHECK(post(service.port(), "/api/v1/events?atomic=true", "{\"feature\":\"good\"}").status == 200);
  auto ledger = json::parse(get(service.port(), "/health").body)["ledger"];
  CHECK(ledger["received"] == 11);
  CHECK(ledger["stored"] == 3);
  CHECK(ledger["rejected"] == 8);
  CHECK(ledger["balanced"] == true);
}

TEST_CASE("the same id of the same source counts once, also within one request") {
  temp_dir dir;
  service_process service{dir.path()};
  auto send = [&](const std::string& body) {
    return json::parse(post(service.port(), "/api/v1/events", body).body);
  };
  CHECK(send(R"([{"feature":"a","id":"1"},{"feature":"a","id":"1"}])")["duplicates"] == 1);
  CHECK(send(R"({"feature":"a","id":"1"})")["duplicates"] == 1);
  CHECK(send(R"({"feature":"a","id":"1","source":"other"})")["stored"] == 1);
  CHECK(send(R"({"feature":"a"})")["stored"] == 1);
  CHECK(send(R"({"feature":"a"})")["stored"] == 1);
}

TEST_CASE("days in a zone: of 23 and 25 hours, and at +05:45") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  std::string body;
  // Every 15 minutes over the two days on which Berlin moved its clocks in 2025, and one more.
  for (auto date : {"2025-03-30", "2025-10-26", "2025-06-15"})
    for (int day = -1; day <= 1; ++day)
      for (int slot = 0; slot < 96; ++slot) {
        std::tm parts{};
        ::strptime(date, "%Y-%m-%d", &parts);
        auto when = ::timegm(&parts) + day * 86400 + slot * 900;
        char text[32];
        std::tm utc{};
        ::gmtime_r(&when, &utc);
        std::strftime(text, sizeof text, "%FT%TZ", &utc);
        body += std::string{"{\"feature\":\"f\",\"status\":"} + (slot % 2 ? "200" : "500")
                + ",\"time\":\"" + text + "\"}\n";
      }
  CHECK(post(service.port(), "/api/v1/events", body, lines).status == 200);
  auto count = [&](const std::string& date, const std::string& zone) {
    auto rows = json::parse(get(service.port(), "/api/v1/stats/daily?start=" + date + "&end=" + date
                                                  + "&timezone=" + zone)
                              .body);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0]["date"] == date);
    CHECK(std::abs(rows[0]["errCount"].get<int>() * 2 - rows[0]["count"].get<int>()) <= 1);
    return rows[0]["count"].get<int>();
  };
  CHECK(count("2025-03-30", "Europe/Berlin") == 23 * 4);
  CHECK(count("2025-10-26", "Europe/Berlin") == 25 * 4);
  CHECK(count("2025-06-15", "Europe/Berlin") == 96);
  CHECK(count("2025-06-15", "Asia/Kathmandu") == 96);
  CHECK(count("2025-06-15", "Australia/Lord_Howe") == 96);
  // At +05:45 a day ends at 18:15 UTC, the 73rd quarter of an hour.
  CHECK(count("2025-06-14", "Asia/Kathmandu") == 73);
  CHECK(count("2025-06-17", "Asia/Kathmandu") == 96 - 73);
}

TEST_CASE("features, unique users, and the summary come from the counts") {
  temp_dir dir;
  service_process service{
    dir.path(), {{"APP_STATS_USER_HASH_SALT", "pepper"}, {"APP_SERVER_INSTANCE", "test-1"}}};
  std::string body;
  for (int i = 0; i < 100; ++i)
    body += "{\"route\":\"/" + std::to_string(i % 3) + "\",\"instance\":\"test-1\",\"feature\":\""
            + std::string{i % 2 ? "a" : "b"} + "\",\"user\":\"u" + std::to_string(i % 10)
            + "\",\"userKind\":\"k\",\"action\":\"act\",\"durationMs\":" + std::to_string(i + 1)
            + "}\n";
  CHECK(post(service.port(), "/api/v1/events", body, lines).status == 200);
  char today[16];
  auto now = ::time(nullptr);
  std::strftime(today, sizeof today, "%F", ::gmtime(&now));
  auto range = std::string{"?start="} + today + "&end=" + today;
  auto features = json::parse(get(service.port(), "/api/v1/stats/daily/features" + range).body);
  REQUIRE(features["rows"].size() == 2);
  CHECK(features["rows"][0]
        == json({{"date", today}, {"feature", "a"}, {"count", 50}, {"uniqueUsers", 5}}));
  auto filtered =
    json::parse(get(service.port(), "/api/v1/stats/daily/features" + range + "&feature=b").body);
  CHECK(filtered["rows"].size() == 1);
  CHECK(filtered["featureFilter"] == "b");
  std::this_thread::sleep_for(400ms); // own requests are flushed within flush_interval_ms
  auto summary = json::parse(get(service.port(), "/api/v1/stats/summary?include=all").body);
  CHECK(summary["uniqueUsers"]["total"] == 10);
  CHECK(summary["uniqueUsers"]["byKind"] == json::parse(R"([["k",10]])"));
  CHECK(summary["features"].size() == 2);
  CHECK(summary["actions"] == json::parse(R"([{"action":"act","count":100}])"));
  CHECK(summary["latency"]["sampleCount"] == 100);
  CHECK(summary["instances"] == json::parse(R"([{"instance":"test-1","count":100}])"));
  CHECK(summary["uniqueIps"] == 1);
  CHECK(summary["routes"].size() == 3); // its own requests are not among them
  auto alone =
    json::parse(get(service.port(), "/api/v1/stats/summary?include=latency&feature=a").body);
  CHECK(alone["latency"]["sampleCount"] == 50);
  CHECK(alone["latency"]["maxMs"] == 100.0);
  auto p50 = alone["latency"]["p50Ms"].get<double>();
  CHECK(p50 >= 50 * 0.99);
  CHECK(p50 <= 50 * 1.01);
  // The user itself is nowhere.
  CHECK(read_file(service.database()).find("u1\"") == std::string::npos);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE user_hash LIKE 'u%'")
        == 0);
}

TEST_CASE("without a salt in the configuration one is made at the first start, and kept") {
  temp_dir dir;
  for (int run = 0; run < 2; ++run) {
    service_process service{dir.path()};
    post(service.port(), "/api/v1/events",
         R"([{"feature":"a","user":"ann"},)"
         R"({"feature":"a","user":"bob"}])");
    CHECK(service.stop().code == 0);
  }
  temp_dir other; // another service has another salt
  service_process service{other.path()};
  post(service.port(), "/api/v1/events", R"({"feature":"a","user":"ann"})");
  CHECK(service.stop().code == 0);
  auto hashes = "SELECT count(DISTINCT user_hash) FROM event WHERE feature='a'";
  CHECK(ask_database(dir.path("phi.db"), hashes) == 2);
  CHECK(ask_database(dir.path("phi.db"), "SELECT count(user_hash) FROM event") == 4);
  CHECK(read_file(dir.path("user_hash_salt")) != read_file(other.path("user_hash_salt")));
  auto rights = std::filesystem::status(dir.path("user_hash_salt")).permissions();
  CHECK(rights == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  // Lost is lost, but not in silence: nobody is counted anew by accident.
  std::ofstream{dir.path("user_hash_salt"), std::ios::trunc};
  service_process broken{dir.path(), {}, false};
  CHECK(broken.wait().code == 1);
  CHECK(broken.logged("cannot read the salt"));
}

TEST_CASE("the service records its own requests apart: no count of the users' events holds them") {
  temp_dir dir;
  settings with{{"APP_AUTH_TOKEN", "t"}};
  const std::string let_in = "Authorization: Bearer t\r\n";
  service_process service{dir.path(), with};
  post(service.port(), "/api/v1/events", R"({"feature":"a"})", "application/json", let_in);
  get(service.port(), "/api/v1/stats/daily?start=x&end=y", let_in);
  get(service.port(), "/health/live");
  get(service.port(), "/api/v1/stats/summary");                                // no token
  get(service.port(), "/api/v1/stats/summary", "Authorization: Bearer u\r\n"); // a wrong one
  // Only the service itself may say so.
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"a","action":"phi:request"})",
             "application/json", let_in)
          .status
        == 400);
  auto own = [&] { return get(service.port(), "/api/v1/stats/summary?source=phi", let_in).body; };
  for (int i = 0; i < 200 && own().find("\"eventsTotal\":0,") != std::string::npos; ++i)
    std::this_thread::sleep_for(50ms); // until some are stored
  CHECK(own().find("\"eventsTotal\":0,") == std::string::npos);
  for (int i = 0; i < 3; ++i) {
    auto summary = get(service.port(), "/api/v1/stats/summary?include=status", let_in).body;
    CAPTURE(summary);
    CHECK(summary.find("\"eventsTotal\":1,") != summary.npos);
    CHECK(summary.find("\"statusCodes\":[]") != summary.npos);
  }
  CHECK(service.stop().code == 0);
  auto count = [&](const std::string& where) {
    return ask_database(service.database(), "SELECT count(*) FROM event WHERE " + where);
  };
  CHECK(count("route='/api/v1/events' AND status=200 AND method='POST'") == 1);
  CHECK(count("route='/api/v1/stats/daily' AND status=422") == 1);
  CHECK(count("route LIKE '/health%'") == 0);
  CHECK(count("status IN (401, 403)") == 0);
  CHECK(count_mismatch(in_file(service.database())) == "");
  service_process again{dir.path(), with};
  auto verified = ctl(dir, {"verify"});
  CAPTURE(verified.out);
  CHECK(verified.code == 0);
}

TEST_CASE("request ids: a good one is kept, another is replaced; errors carry it") {
  temp_dir dir;
  service_process service{dir.path()};
  CHECK(get(service.port(), "/health/live", "X-Request-Id: my-id.1\r\n").headers["x-request-id"]
        == "my-id.1");
  CHECK(get(service.port(), "/health/live", "X-Request-Id: bad id\r\n").headers["x-request-id"]
        != "bad id");
  auto error = get(service.port(), "/nothing", "X-Request-Id: abc\r\n");
  CHECK(error.status == 404);
  CHECK(error.headers["content-type"] == "application/problem+json");
  auto body = json::parse(error.body);
  CHECK(body["requestId"] == "abc");
  CHECK(body["status"] == 404);
  for (auto member : {"type", "title", "status", "detail", "code", "requestId"})
    CHECK(body.contains(member));
}

TEST_CASE("a token is asked for on events and questions, not on health; wrong ones are refused") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_AUTH_TOKEN", "s3cret-token"}}};
  auto port = service.port();
  CHECK(post(port, "/api/v1/events", R"({"feature":"a"})").status == 401);
  CHECK(post(port, "/api/v1/events", R"({"feature":"a"})", "application/json",
             "Authorization: Bearer s3cret\r\n")
          .status
        == 401);
  CHECK(post(port, "/api/v1/events", R"({"feature":"a"})", "application/json",
             "Authorization: Bearer s3cret-token\r\n")
          .status
        == 200);
  CHECK(get(port, "/api/v1/stats/summary").status == 401);
  CHECK(get(port, "/health").status == 200);
  CHECK_FALSE(service.logged("s3cret"));
}

TEST_CASE("CORS: an allowed origin is named, others are not; preflight") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_CORS_ALLOWED_ORIGINS", "https://a.example"}}};
  CHECK(get(service.port(), "/health/live", "Origin: https://a.example\r\n")
          .headers["access-control-allow-origin"]
        == "https://a.example");
  CHECK_FALSE(get(service.port(), "/health/live", "Origin: https://b.example\r\n")
                .headers.contains("access-control-allow-origin"));
  http_client client{service.port()};
  client.send("OPTIONS /api/v1/events HTTP/1.1\r\nHost: t\r\nOrigin: "
              "https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
  auto preflight = client.read();
  CHECK(preflight.status == 200);
  CHECK(preflight.headers["access-control-allow-methods"] == "GET, POST");
}

TEST_CASE("the client's address is taken from X-Forwarded-For only behind a trusted proxy") {
  for (bool trusted : {false, true}) {
    temp_dir dir;
    service_process service{
      dir.path(),
      {{"APP_STATS_USER_HASH_SALT", "x"},
       {"APP_SERVER_TRUSTED_PROXIES", trusted ? "127.0.0.0/8" : "10.0.0.0/8"}}};
    const std::string name = "X-Forwarded-For: ";
    for (const auto& lines :
         {name + "203.0.113.1\r\n", name + "203.0.113.2\r\n", name + "6.6.6.6, 203.0.113.2\r\n",
          // A proxy may add a line of its own; what the client made up stands above it.
          name + "6.6.6.6\r\n" + name + "203.0.113.2\r\n",
          name + "6.6.6.6\r\nx-forwarded-for: 203.0.113.1:41000\r\n",
          name + "::ffff:203.0.113.1\r\n", name + "203.0.113.2, 127.0.0.9:80\r\n"})
      post(service.port(), "/api/v1/events", R"({"feature":"a"})", "application/json", lines);
    CHECK(service.stop().code == 0);
    CHECK(ask_database(service.database(), "SELECT count(DISTINCT address_hash) FROM event")
          == (trusted ? 2 : 1));
  }
}

TEST_CASE("pipelined requests are answered in order, 100-continue is honoured, HEAD has no body") {
  temp_dir dir;
  service_process service{dir.path()};
  http_client client{service.port()};
  client.send("GET /health/live HTTP/1.1\r\nHost: t\r\nX-Request-Id: one\r\n\r\nGET /nothing "
              "HTTP/1.1\r\nHost: t\r\nX-Request-Id: two\r\n\r\n");
  CHECK(client.read().headers["x-request-id"] == "one");
  CHECK(client.read().headers["x-request-id"] == "two");
  client.send("POST /api/v1/events HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Type: "
              "application/json\r\nContent-Length: 15\r\n\r\n");
  char interim[16] = {};
  CHECK(::recv(client.fd(), interim, 12, MSG_WAITALL | MSG_PEEK) == 12);
  CHECK(std::string{interim} == "HTTP/1.1 100");
  client.send("{\"feature\":\"a\"}");
  CHECK(client.read().status == 200);
  http_client head{service.port()};
  head.send("HEAD /health/live HTTP/1.1\r\nHost: t\r\n\r\n"
            "GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  std::string both;
  char block[4096];
  for (ssize_t got = 0; (got = ::recv(head.fd(), block, sizeof block, 0)) > 0;)
    both.append(block, static_cast<size_t>(got));
  auto second = both.find("HTTP/1.1 200 OK", 1);
  REQUIRE(second != both.npos);
  auto first = both.substr(0, second);
  CHECK(first.ends_with("\r\n\r\n"));
  CHECK(first.find("Content-Length: 15\r\n") != first.npos); // as long as GET's
  CHECK(both.ends_with("\r\n\r\n{\"status\":\"ok\"}"));
}

TEST_CASE("idle, slow and silent connections are ended after their time-outs") {
  temp_dir dir;
  service_process service{dir.path(),
                          {{"APP_SERVER_KEEPALIVE_TIMEOUT_SECS", "1"},
                           {"APP_SERVER_HEADER_TIMEOUT_MS", "500"},
                           {"APP_SERVER_BODY_TIMEOUT_MS", "500"}}};
  http_client silent{service.port()};
  http_client header{service.port()};
  http_client body{service.port()};
  header.send("GET /health/live HTTP/1.1\r\nHo");
  body.send("POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
            "application/json\r\nContent-Length: 15\r\n\r\n{");
  CHECK(header.read(3s).status == 408);
  CHECK(body.read(3s).status == 408);
  CHECK(silent.ended(3s));
}

TEST_CASE("statistics switched off: only the health routes are there") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_ENABLED", "false"}}};
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"a"})").status == 404);
  CHECK(get(service.port(), "/health/ready").status == 200);
  CHECK(service.stop().code == 0);
}

TEST_CASE("events before stats.start_at are refused") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_START_AT", "2025-01-01T00:00:00Z"}}};
  auto answer = json::parse(post(service.port(), "/api/v1/events",
                                 R"([{"feature":"a","time":"2024-12-31T23:59:59Z"},)"
                                 R"({"feature":"a","time":"2025-01-01T00:00:00Z"}])")
                              .body);
  CHECK(answer["stored"] == 1);
  CHECK(answer["rejected"][0]["code"] == "invalid_time");
  CHECK(json::parse(get(service.port(), "/api/v1/stats/summary").body)["configStartAt"]
        == "2025-01-01T00:00:00Z");
}

TEST_CASE("each level of durability stores what it acknowledged, and says what it did") {
  for (auto [level, said] :
       {std::pair{"full", "committed"}, {"normal", "committed"}, {"queued", "queued"}}) {
    CAPTURE(level);
    temp_dir dir;
    service_process service{dir.path(), {{"APP_STATS_DURABILITY", level}}};
    for (int i = 0; i < 10; ++i)
      CHECK(
        json::parse(post(service.port(), "/api/v1/events", R"({"feature":"f"})").body)["durability"]
        == said);
    CHECK(service.stop().code == 0);
    CHECK(ask_database(service.database(), "SELECT count(*) FROM event WHERE feature='f'") == 10);
    CHECK(count_mismatch(in_file(service.database())) == "");
  }
}

TEST_CASE("several event loops share the port and the count") {
  temp_dir dir;
  service_process service{dir.path(),
                          {{"APP_SERVER_THREADS", "3"}, {"APP_STATS_TRACK_REQUESTS", "false"}}};
  for (int i = 0; i < 60; ++i)
    CHECK(post(service.port(), "/api/v1/events", R"({"feature":"a"})").status == 200);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 60);
}

TEST_CASE("the admin socket: status, stop, and what it refuses") {
  temp_dir dir;
  service_process service{dir.path()};
  auto path = dir.path("admin.sock");
  auto status = json::parse(ask_admin(path, R"({"jsonrpc":"2.0","id":7,"method":"status"})"));
  CHECK(status["id"] == 7);
  CHECK(status["result"]["state"] == "ready");
  CHECK(status["result"]["ledger"]["balanced"] == true);
  CHECK(status["result"]["actors"].size() == 8);
  CHECK(json::parse(ask_admin(path, "{nonsense"))["error"]["code"] == -32700);
  CHECK(json::parse(ask_admin(path, R"({"id":1})"))["error"]["code"] == -32600);
  CHECK(
    json::parse(ask_admin(path, R"({"jsonrpc":"2.0","id":1,"method":"dance"})"))["error"]["code"]
    == -32601);
  CHECK(
    json::parse(ask_admin(
      path,
      R"({"jsonrpc":"2.0","id":1,"method":"stop","params":{"mode":"slowly"}})"))["error"]["code"]
    == -32602);
  auto stop = json::parse(ask_admin(path, R"({"jsonrpc":"2.0","id":1,"method":"stop"})"));
  CHECK(stop["result"]["accepted"] == true);
  CHECK(service.wait().code == 0);
  CHECK(service.last_exit().find("\"reason\": \"admin\"") != std::string::npos);
  CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_CASE("stop --mode immediate over the admin socket: code 82") {
  temp_dir dir;
  service_process service{dir.path()};
  ask_admin(dir.path("admin.sock"),
            R"({"jsonrpc":"2.0","id":1,"method":"stop","params":{"mode":"immediate"}})");
  CHECK(service.wait().code == 82);
}

TEST_CASE("a stale admin socket of a dead process is replaced, a live one is not") {
  temp_dir dir;
  {
    service_process service{dir.path()};
    service.kill();
  }
  service_process service{dir.path()};
  CHECK(
    ask_admin(dir.path("admin.sock"), R"({"jsonrpc":"2.0","id":1,"method":"status"})").find("ready")
    != std::string::npos);
  temp_dir other;
  service_process second{other.path(), {{"APP_ADMIN_SOCKET", dir.path("admin.sock")}}, false};
  CHECK(second.wait().code == 1);
  CHECK(second.logged("another process answers there"));
}
