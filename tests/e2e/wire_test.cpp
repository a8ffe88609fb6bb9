// What clients of all kinds send and get: old versions, proxies, monitors; and what the log tells
// of it.

#include "tests/support/compressed.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/phictl.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>

using namespace phi::testing;
using namespace std::chrono_literals;
using json = nlohmann::json;

namespace {

std::string detail_of(const http_answer& answer) {
  return json::parse(answer.body)["detail"];
}

/// The line of the log with this text in it; empty: there is none.
std::string line_with(const service_process& service, const std::string& text) {
  auto log = service.log();
  auto at = log.find(text);
  if (at == log.npos)
    return {};
  auto begin = log.rfind('\n', at) + 1; // npos + 1 is 0
  return log.substr(begin, log.find('\n', at) - begin);
}

} // namespace

TEST_CASE("HTTP/1.0: no Host is needed, and the connection stays only when asked to") {
  temp_dir dir;
  service_process service{dir.path()};
  http_client plain{service.port()};
  plain.send("GET /health/live HTTP/1.0\r\n\r\n");
  auto answer = plain.read();
  CHECK(answer.status == 200);
  CHECK(answer.headers["connection"] == "close");
  CHECK(answer.body == R"({"status":"ok"})");
  CHECK(plain.ended());
  http_client kept{service.port()};
  for (int i = 0; i < 2; ++i) {
    kept.send("GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    answer = kept.read();
    CHECK(answer.status == 200);
    CHECK(answer.headers["connection"] == "keep-alive");
  }
  kept.send("POST /api/v1/events HTTP/1.0\r\nContent-Type: application/json\r\n"
            "Content-Length: 15\r\n\r\n{\"feature\":\"a\"}");
  CHECK(kept.read().status == 200);
  CHECK(kept.ended());
  http_client late{service.port()};
  late.send("GET /health/live HTTP/1.1\r\n\r\n");
  answer = late.read();
  CHECK(answer.status == 400);
  CHECK(json::parse(answer.body)["code"] == "missing_host");
  CHECK(late.ended());
  CHECK(service.stop().code == 0);
}

TEST_CASE("a whole address as the target is served as its path") {
  temp_dir dir;
  service_process service{dir.path()};
  auto ask = [&](const std::string& target) {
    http_client client{service.port()};
    client.send("GET " + target + " HTTP/1.1\r\nHost: t\r\n\r\n");
    return client.read();
  };
  CHECK(ask("http://stats.example/health/live").body == R"({"status":"ok"})");
  CHECK(ask("HTTPS://stats.example:8443/health/live?").status == 200);
  CHECK(ask("http://stats.example/api/v1/stats/summary?top=1").status == 200);
  CHECK(ask("http://stats.example/api/v1/stats/summary?top=0").status == 422);
  CHECK(ask("http://stats.example").body.starts_with("phi-backend ")); // the index at /
  CHECK(ask("ftp://stats.example/health/live").status == 404);
  CHECK(json::parse(ask("http://a:b@stats.example/health/live").body)["code"]
        == "bad_request_target");
  CHECK(service.stop().code == 0);
}

TEST_CASE("the scheme of a token in lower case, and words for a body that is no gzip") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_AUTH_TOKEN", "S3cret-token"}}};
  auto summary = [&](const std::string& header) {
    return get(service.port(), "/api/v1/stats/summary", "Authorization: " + header + "\r\n").status;
  };
  CHECK(summary("bearer S3cret-token") == 200);
  CHECK(summary("BEARER S3cret-token") == 200);
  CHECK(summary("bearer s3cret-token") == 401);
  auto send = [&](const std::string& body) {
    return post(service.port(), "/api/v1/events", body, "application/json",
                "Authorization: Bearer S3cret-token\r\nContent-Encoding: gzip\r\n");
  };
  auto body = gzip(R"({"feature":"a"})");
  CHECK(send(body).status == 200);
  CHECK(detail_of(send(body.substr(0, 20)))
        == "Content-Encoding says gzip, and the gzip stream ends early, after 20 bytes: was it cut "
           "short?");
  CHECK(service.stop().code == 0);
}

TEST_CASE("an access log: a line for each request, and no secret in it") {
  temp_dir dir;
  service_process service{dir.path(),
                          {{"APP_LOGGING_ACCESS", "true"}, {"APP_AUTH_TOKEN", "S3cret-token"}}};
  auto answer = get(service.port(), "/api/v1/stats/summary?feature=query-secret",
                    "Authorization: Bearer S3cret-token\r\nX-Request-Id: my-id.1\r\n");
  REQUIRE(answer.status == 200);
  REQUIRE(service.wait_for_log("id=my-id.1"));
  auto line = line_with(service, "id=my-id.1");
  CAPTURE(line);
  CHECK(has(line, "info "));
  CHECK(has(line, " http answers a request method=GET path=/api/v1/stats/summary status=200 ms="));
  CHECK(has(line, " bytes=" + std::to_string(answer.body.size()) + " client=127.0.0.1 id=my-id.1"));
  http_client odd{service.port()};
  odd.send("GET /a\xe9\"b HTTP/1.1\r\nHost: t\r\nX-Request-Id: odd\r\n\r\n");
  CHECK(odd.read().status == 404);
  REQUIRE(service.wait_for_log("id=odd"));
  CHECK_FALSE(has(service.log(), "\xe9")); // no byte that is no UTF-8
  http_client waits{service.port()};
  waits.send("POST /nowhere HTTP/1.1\r\nHost: t\r\nX-Request-Id: early\r\nExpect: 100-continue\r\n"
             "Content-Length: 5\r\n\r\n");
  CHECK(waits.read().status == 404);
  REQUIRE(service.wait_for_log("id=early"));
  CHECK(has(line_with(service, "id=early"),
            " http answers a request method=POST path=/nowhere status=404 ms="));
  CHECK(has(line_with(service, "id=early"), " client=127.0.0.1 id=early"));
  http_client broken{service.port()};
  broken.send("nonsense\r\n\r\n");
  CHECK(broken.read().status == 400);
  CHECK(service.wait_for_log("http refuses what is no request code=bad_http status=400 ms="));
  CHECK(service.stop().code == 0);
  CHECK_FALSE(service.logged("S3cret"));
  CHECK_FALSE(service.logged("query-secret"));
  CHECK_FALSE(service.logged("path=/health/live")); // the service asks itself
}

TEST_CASE("without an access log requests are told at debug, and at info are not") {
  for (const auto* level : {"debug", "info"}) {
    CAPTURE(level);
    temp_dir dir;
    service_process service{dir.path(), {{"PHI_LOG", level}}};
    REQUIRE(get(service.port(), "/health", "X-Request-Id: my-id.1\r\n").status == 200);
    CHECK(service.stop().code == 0);
    auto line = line_with(service, "id=my-id.1");
    CHECK(has(line, "debug ") == (std::string{level} == "debug"));
  }
}

TEST_CASE("what ails the service: everybody learns the kind, administrators the file") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_AUTH_TOKEN", "S3cret-token"}}};
  std::filesystem::rename(service.database(), dir.path("elsewhere.db"));
  auto causes = [&](const std::string& header = "") {
    return json::parse(get(service.port(), "/health", header).body)["causes"].dump();
  };
  const std::string let_in = "Authorization: Bearer S3cret-token\r\n";
  REQUIRE(eventually([&] { return has(causes(), "store: "); }));
  CHECK(has(causes(), R"("store: the database is not as it should be")"));
  CHECK_FALSE(has(get(service.port(), "/health").body, dir.path()));
  CHECK_FALSE(has(get(service.port(), "/health", "Authorization: Bearer x\r\n").body, dir.path()));
  CHECK(has(causes(let_in), "store: " + service.database() + " has been moved away or deleted"));
  CHECK(has(ctl(dir, {"health"}).out, service.database() + " has been moved away or deleted"));
  CHECK(service.logged(service.database() + " has been moved away or deleted"));
  // Events are refused: so is readiness, in the same words.
  post(service.port(), "/api/v1/events", R"({"feature":"a"})", "application/json", let_in);
  REQUIRE(eventually([&] { return get(service.port(), "/health/ready").status == 503; }));
  CHECK(has(detail_of(get(service.port(), "/health/ready")), "events would be refused: "));
  CHECK_FALSE(has(get(service.port(), "/health/ready").body, dir.path()));
  CHECK(has(get(service.port(), "/health/ready", let_in).body, dir.path()));
}

TEST_CASE("a method that a path does not know: the answer says which it knows; each has a date") {
  temp_dir dir;
  service_process service{dir.path()};
  http_client client{service.port()};
  REQUIRE(client.send("DELETE /api/v1/events HTTP/1.1\r\nHost: t\r\n\r\n"));
  auto refused = client.read();
  CHECK(refused.status == 405);
  CHECK(refused.headers["allow"] == "POST, OPTIONS");
  CHECK(refused.headers["date"].ends_with(" GMT"));
  auto good = client.get("/health/live");
  CHECK(good.status == 200);
  CHECK(good.headers.count("allow") == 0);
  CHECK(good.headers["date"].ends_with(" GMT"));
}

TEST_CASE("all or nothing is asked for once, or not at all") {
  temp_dir dir;
  service_process service{dir.path()};
  const auto* events = R"([{"feature":"f"},{"x":1}])";
  CHECK(post(service.port(), "/api/v1/events?atomic=true&atomic=false", events).status == 422);
  CHECK(post(service.port(), "/api/v1/events?atomic=true", events).status == 400);
  CHECK(post(service.port(), "/api/v1/events?atomic=false", events).status == 200);
}

TEST_CASE("a limit on the size of files is an error of the write, and ends nothing") {
  temp_dir dir;
  service_process service{dir.path()};
  service.signal(SIGXFSZ);
  CHECK(get(service.port(), "/health/live").status == 200);
  CHECK(service.stop().code == 0);
}
