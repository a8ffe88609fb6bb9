// An answer as it goes over the wire, on a connection that keeps what is written.

#include "server/http/answers.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_request.hpp"

using namespace phi;
using namespace phi::http;
using namespace phi::testing;

namespace {

/// What is written for one request.
struct written {
  written(fake_request request, const exchange& about, answer what, bool close = false)
    : connection(request.connection) {
    auto to = about;
    to.request = request.made();
    write_answer(to, std::move(what), close);
    auto end = connection->written.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    head = connection->written.substr(0, end + 2);
    body = connection->written.substr(end + 4);
  }
  bool has(const std::string& line) const { return head.find("\r\n" + line + "\r\n") != head.npos; }
  bool names(const std::string& field) const {
    return head.find("\r\n" + field + ":") != head.npos;
  }

  std::shared_ptr<recorded_connection> connection;
  std::string head;
  std::string body;
};

} // namespace

TEST_CASE("answers: a status, the request's id, a type and a length") {
  written ok{fake_request{}, {.request_id = "r-1"}, {.body = "{}"}};
  CHECK(ok.head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(ok.has("X-Request-Id: r-1"));
  CHECK(ok.has("Content-Type: application/json"));
  CHECK(ok.has("Content-Length: 2"));
  CHECK(ok.names("Date"));
  CHECK(ok.body == "{}");
  CHECK(ok.connection->answers == 1);
  CHECK_FALSE(ok.connection->closes);
  for (const auto* other :
       {"Retry-After", "WWW-Authenticate", "Allow", "Vary", "Access-Control-Allow-Origin"}) {
    CAPTURE(other);
    CHECK_FALSE(ok.names(other));
  }
}

TEST_CASE("answers: without a body there is no type") {
  written none{fake_request{}, {}, {.status = 200}};
  CHECK(none.head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(none.has("Content-Length: 0"));
  CHECK_FALSE(none.names("Content-Type"));
  CHECK(none.body.empty());
}

TEST_CASE("answers: what a refusal tells the client to do") {
  written later{fake_request{}, {}, {.status = 503, .body = "x", .retry_after_s = 7}};
  CHECK(later.has("Retry-After: 7"));
  CHECK_FALSE(later.names("WWW-Authenticate"));
  written who{fake_request{}, {}, {.status = 401, .body = "x"}};
  CHECK(who.has("WWW-Authenticate: Bearer"));
  CHECK_FALSE(who.names("Retry-After"));
  written wrong{fake_request{}, {.allowed_methods = "GET, HEAD"}, {.status = 405, .body = "x"}};
  CHECK(wrong.has("Allow: GET, HEAD"));
  written problem{
    fake_request{}, {}, {.status = 403, .body = "x", .type = "application/problem+json"}};
  CHECK(problem.has("Content-Type: application/problem+json"));
  CHECK_FALSE(problem.names("WWW-Authenticate"));
}

TEST_CASE("answers: HEAD has the length of GET's answer and no body") {
  written head{fake_request{"/", restinio::http_method_head()},
               {.head = true},
               {.body = std::string(1234, 'x')}};
  CHECK(head.has("Content-Length: 1234"));
  CHECK(head.has("Content-Type: application/json"));
  CHECK(head.body.empty());
  CHECK(head.connection->answers == 1);
}

TEST_CASE("answers: an origin that is allowed is told so, with what it may do when it asks") {
  written get{
    fake_request{}, {.origin = "https://a.example", .origin_by_name = true}, {.body = "{}"}};
  CHECK(get.has("Access-Control-Allow-Origin: https://a.example"));
  CHECK(get.has("Access-Control-Allow-Credentials: true"));
  CHECK(get.has("Access-Control-Expose-Headers: ETag, X-Request-Id, Retry-After, RateLimit, "
                "RateLimit-Policy"));
  CHECK(get.has("Vary: Origin"));
  CHECK_FALSE(get.names("Access-Control-Allow-Methods"));
  written asks{fake_request{"/", restinio::http_method_options()},
               {.origin = "https://a.example", .asks_options = true},
               {.type = ""}};
  CHECK_FALSE(asks.names("Access-Control-Allow-Credentials")); // by "*"
  CHECK(asks.has("Access-Control-Allow-Origin: https://a.example"));
  CHECK(asks.has("Access-Control-Allow-Methods: GET, POST"));
  CHECK(asks.has("Access-Control-Max-Age: 600"));
  const std::string always =
    "Access-Control-Allow-Headers: Authorization, Content-Type, Content-Encoding, If-None-Match, "
    "X-Request-Id, ce-specversion, ce-id, ce-source, ce-type, ce-time, ce-subject";
  CHECK(asks.has(always));
  written more{
    fake_request{},
    {.origin = "https://a.example", .asked_attributes = ", ce-shop", .asks_options = true},
    {.type = ""}};
  CHECK(more.has(always + ", ce-shop"));
  written stranger{
    fake_request{"/", restinio::http_method_options()}, {.asks_options = true}, {.type = ""}};
  CHECK_FALSE(stranger.names("Access-Control-Allow-Origin"));
  CHECK_FALSE(stranger.names("Access-Control-Allow-Methods"));
}

TEST_CASE("answers: a sender of webhooks is told that it may send") {
  written asks{fake_request{"/", restinio::http_method_options()},
               {.webhook_origin = "eventemitter.example.com"},
               {.type = ""}};
  CHECK(asks.has("WebHook-Allowed-Origin: eventemitter.example.com"));
  CHECK(asks.has("WebHook-Allowed-Rate: *"));
  CHECK_FALSE(written(fake_request{}, {}, {.body = "x"}).names("WebHook-Allowed-Origin"));
}

TEST_CASE("answers: one that RESTinio never sees is whole, and the last of its connection") {
  auto text = answer_text({.request_id = "r-1"}, {.status = 401, .body = "{}"});
  CHECK(text.starts_with("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n"));
  CHECK(text.find("\r\nX-Request-Id: r-1\r\n") != text.npos);
  CHECK(text.find("\r\nWWW-Authenticate: Bearer\r\n") != text.npos);
  CHECK(text.find(" GMT\r\n") != text.npos);
  CHECK(text.ends_with("\r\nContent-Length: 2\r\n\r\n{}"));
  CHECK(answer_text({.head = true}, {.status = 405, .body = "{}"})
          .ends_with("\r\nContent-Length: 2\r\n\r\n"));
}

TEST_CASE(
  "answers: the connection ends behind it when it shall, and when an upgrade was asked for") {
  for (bool close : {false, true}) {
    written plain{fake_request{}, {}, {.body = "{}"}, close};
    CHECK(plain.connection->closes == close);
    CHECK(plain.has("Connection: close") == close);
  }
  fake_request upgrade;
  upgrade.header.connection(restinio::http_connection_header_t::upgrade);
  written refused{upgrade, {}, {.body = "{}"}};
  CHECK(refused.connection->closes);
}

TEST_CASE("answers: what was counted has a tag, and who has the same already gets no body") {
  auto answer_for = [](const std::string& known, std::string body) {
    exchange about{.media_type = "text/csv", .known_tags = known};
    return written{fake_request{}, about, answer_to_question(about, std::move(body))};
  };
  auto first = answer_for("", "a,b");
  CHECK(first.head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(first.has("Content-Type: text/csv"));
  CHECK(first.has("ETag: \"1eb7c54d52831bbfe8942af0b1c56b74\""));
  CHECK(first.has("Cache-Control: no-cache"));
  CHECK(first.has("Vary: Accept"));
  for (const auto* known : {"\"1eb7c54d52831bbfe8942af0b1c56b74\"",
                            "\"x\", W/\"1eb7c54d52831bbfe8942af0b1c56b74\"", "*"}) {
    auto same = answer_for(known, "a,b");
    CHECK(same.head.starts_with("HTTP/1.1 304 Not Modified\r\n"));
    CHECK(same.has("ETag: \"1eb7c54d52831bbfe8942af0b1c56b74\""));
    CHECK(same.has("Content-Length: 3"));
    CHECK(same.body.empty());
    auto other = answer_for(known == std::string{"*"} ? "" : known, "a,c");
    CHECK(other.head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(other.body == "a,c");
  }
  exchange ndjson{.media_type = "application/x-ndjson"};
  written none{fake_request{}, ndjson, answer_to_question(ndjson, "")};
  CHECK(none.has("Content-Type: application/x-ndjson"));
  CHECK(none.has("Content-Length: 0"));
  CHECK_FALSE(written(fake_request{}, {}, {.status = 204}).names("Content-Type"));
  exchange about{.known_tags = "*"};
  auto health = answer_to_question(about, "{}");
  CHECK(health.status == 200);
  CHECK(health.tag.empty());
  exchange other_each_time{.media_type = "text/plain", .known_tags = "*", .untagged = true};
  auto metrics = answer_to_question(other_each_time, "a 1");
  CHECK(metrics.status == 200);
  CHECK(metrics.type == "text/plain");
  CHECK(metrics.tag.empty());
}
