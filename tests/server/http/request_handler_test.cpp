// What becomes of a request, decided without a socket.

#include "tests/server/http/handler_fixture.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::http;
using namespace phi::testing;

TEST_CASE("request handler: events go to the actors, and none is answered before they say") {
  handler_fixture at;
  auto decided = at.of(post(R"([{"feature":"a"},{"x":1},{"feature":"b"}])"));
  CHECK_FALSE(decided.reply);
  REQUIRE(decided.events);
  CHECK(decided.events->to == 7);
  CHECK(decided.events->awaited);
  CHECK(decided.events->events.size() == 2);
  CHECK(decided.events->rejected == 1);
  CHECK(at.about.rejected.at(0).index == 1);
  CHECK(std::holds_alternative<std::monostate>(decided.question));
}

TEST_CASE("request handler: what is refused whole is answered at once, and counted all the same") {
  handler_fixture at;
  auto none = at.of(post(R"([{"x":1},{"x":2}])"));
  REQUIRE(none.reply);
  CHECK(none.reply->status == 400);
  REQUIRE(none.events);
  CHECK_FALSE(none.events->awaited);
  CHECK(none.events->events.empty());
  CHECK(none.events->rejected == 2);
  auto atomic = at.of(post(R"([{"feature":"a"},{"x":2}])", "/api/v1/events?atomic=true"));
  REQUIRE(atomic.reply);
  CHECK(atomic.reply->status == 400);
  CHECK(atomic.events->rejected == 2);
  CHECK(at.status(post("")) == 400);
  CHECK_FALSE(at.last.events);
}

TEST_CASE("request handler: a question goes to the reader with its parameters") {
  handler_fixture at;
  auto asks = at.of({.method = "GET",
                     .target = "/api/v1/stats/daily?start=2026-01-01&end=2026-01-02&timezone=UTC"});
  CHECK_FALSE(asks.reply);
  CHECK(std::holds_alternative<reader_query>(asks.question));
  CHECK(at.status({.method = "GET", .target = "/api/v1/stats/daily?start=soon"}) == 422);
  CHECK(
    std::holds_alternative<health_query>(at.of({.method = "HEAD", .target = "/health"}).question));
  CHECK(at.about.head);
}

TEST_CASE("request handler: what has happened is asked for in a format, and nothing else") {
  handler_fixture at;
  auto format_for = [&](std::string_view target, std::string_view accept = "") {
    auto asks = at.of({.method = "GET", .target = target, .accept = accept});
    REQUIRE_FALSE(asks.reply);
    return std::get<lifecycle_query>(std::get<service_query>(asks.question)).format;
  };
  CHECK(format_for("/api/v1/lifecycle") == "json");
  CHECK(at.about.media_type == "application/json");
  CHECK(format_for("/api/v1/lifecycle", "text/csv") == "csv");
  CHECK(format_for("/api/v1/lifecycle?format=ndjson", "text/csv") == "ndjson");
  CHECK(at.about.media_type == "application/x-ndjson");
  CHECK(at.status({.method = "GET", .target = "/api/v1/lifecycle?format=xml"}) == 422);
  CHECK(at.status({.method = "GET", .target = "/api/v1/lifecycle?start=today"}) == 422);
}

TEST_CASE("request handler: metrics are written as Accept likes them best, and have no tag") {
  handler_fixture at;
  auto format_for = [&](std::string_view accept) {
    auto asks = at.of({.method = "GET", .target = "/metrics?x=y", .accept = accept});
    CHECK_FALSE(asks.reply);
    CHECK(at.about.untagged);
    return std::get<metrics_query>(std::get<service_query>(asks.question)).format;
  };
  // As Prometheus 2.42 and 3.0 ask.
  CHECK(format_for("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                   "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
        == metrics_format::open_metrics);
  CHECK(at.about.media_type == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(format_for("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                   "text/plain;version=0.0.4;q=0.2,*/*;q=0.1")
        == metrics_format::open_metrics);
  for (const auto* accept :
       {"", "*/*", "text/plain", "text/html,*/*;q=0.8", "application/json",
        "text/plain,application/openmetrics-text", "application/openmetrics-text;q=0"}) {
    CAPTURE(accept);
    CHECK(format_for(accept) == metrics_format::prometheus);
    CHECK(at.about.media_type == "text/plain; version=0.0.4; charset=utf-8");
  }
  CHECK(at.status({.method = "POST", .target = "/metrics"}) == 405);
}

TEST_CASE("request handler: a stream has no end that HTTP/1.0 could know") {
  handler_fixture at;
  request_fields asked{.method = "GET", .target = "/api/v1/stats/live"};
  CHECK(at.status(asked) == 0);
  asked.is_http_1_0 = true;
  CHECK(at.status(asked) == 505);
  asked.target = "/api/v1/stats/summary";
  CHECK(at.status(asked) == 0);
}

TEST_CASE("request handler: readiness is ours and the actors' word") {
  handler_fixture at;
  request_fields ready{.method = "GET", .target = "/health/ready"};
  CHECK(at.status(ready) == 503);
  CHECK(at.last.reply->retry_after_s > 0);
  at.shared.ready = true;
  CHECK(at.status(ready) == 200);
  at.backend->view.refuses_events = true;
  CHECK(at.status(ready) == 503);
  at.shared.ready = false;
  CHECK(at.status(ready, true) == 503);
  CHECK(at.last.reply->body.find("the service is stopping") != std::string::npos);
  CHECK(at.status({.method = "GET", .target = "/health/live"}) == 200);
  CHECK(at.status({.method = "GET", .target = "/health/startup"}) == 503);
  at.shared.started = true;
  CHECK(at.status({.method = "GET", .target = "/health/startup"}) == 200);
}

TEST_CASE("request handler: who asks what may be done is told, and who does another is told too") {
  handler_fixture at;
  at.settings.cors.allowed_origins = {"https://a.example"};
  CHECK(at.status({.method = "OPTIONS", .target = "*"}) == 200);
  CHECK(at.last.reply->body.empty());
  CHECK(at.status({.method = "OPTIONS", .target = "/health"}) == 200);
  CHECK(at.about.allowed_methods == "GET, HEAD, OPTIONS");
  CHECK(at.status({.method = "OPTIONS", .target = "/nowhere"}) == 404);
  CHECK(at.status({.method = "OPTIONS", .target = events_path, .origin = "https://a.example"})
        == 200);
  CHECK(at.about.origin == "https://a.example");
  CHECK(at.status({.method = "DELETE", .target = events_path, .origin = "https://b.example"})
        == 405);
  CHECK(at.about.origin.empty());
  CHECK(at.about.allowed_methods == "POST, OPTIONS");
  CHECK(at.status({.method = "GET", .target = "http://u:p@host/health"}) == 400);
}

TEST_CASE("request handler: a sender of webhooks may send where events are taken, and only there") {
  handler_fixture at;
  request_fields asks{
    .method = "OPTIONS", .target = events_path, .webhook_origin = "sender.example"};
  CHECK(at.status(asks) == 200);
  CHECK(at.about.webhook_origin == "sender.example");
  CHECK(at.about.allowed_methods == "POST, OPTIONS");
  asks.target = "/health";
  CHECK(at.status(asks) == 200);
  CHECK(at.about.webhook_origin.empty());
}

TEST_CASE("request handler: events in all modes of CloudEvents, and an empty batch of them") {
  handler_fixture at;
  auto structured = post(R"({"specversion":"1.0","id":"1","source":"s","type":"t"})");
  structured.content_type = "application/cloudevents+json; charset=UTF-8";
  auto first = at.of(structured).events.value().events.at(0).identity;
  auto binary = post(R"({"status":200})");
  binary.take("Ce-Id", "1");
  binary.take("CE-SpecVersion", "1.0");
  binary.take("ce-source", "s");
  binary.take("ce-type", "t");
  CHECK(at.of(binary).events.value().events.at(0).identity == first);
  auto batch = post("[]");
  batch.content_type = "application/cloudevents-batch+json";
  CHECK(at.status(batch) == 200);
  CHECK_FALSE(at.last.events);
  CHECK(at.last.reply->body
        == R"({"stored":0,"duplicates":0,"rejected":[],"durability":"committed"})");
}

TEST_CASE("request handler: one event that is wrong is told in the detail") {
  handler_fixture at;
  at.of(post(R"({"feature":"a","status":7})"));
  CHECK(at.last.reply->body.find(R"("detail":"/status: expected a whole number from 100 to 599")")
        != std::string::npos);
  at.of(post(R"([{"x":1},{"x":2}])"));
  CHECK(at.last.reply->body.find(R"("detail":"No event of the request is valid")")
        != std::string::npos);
}

TEST_CASE("request handler: a wrong parameter is named, whether the body has come or not") {
  handler_fixture at;
  auto wrong = post(R"({"feature":"a"})", "/api/v1/events?atomic=yes");
  const std::string_view said =
    R"("detail":"atomic: expected true or false","code":"invalid_query","requestId":"id",)"
    R"("errors":[{"code":"invalid_query","pointer":"atomic","message":"expected true or false"}]})";
  CHECK(at.status(wrong) == 422);
  CHECK(at.last.reply->body.ends_with(said));
  auto early = at.handler.refuse_early(wrong, at.about);
  REQUIRE(early);
  CHECK(early->status == 422);
  CHECK(early->body.ends_with(said));
}

TEST_CASE("request handler: a beacon is taken from pages of an allowed origin") {
  handler_fixture at;
  at.settings.cors.allowed_origins = {"https://a.example"};
  auto beacon = post(R"({"feature":"a"})");
  beacon.content_type = "text/plain;charset=UTF-8";
  CHECK(at.status(beacon) == 415);
  beacon.origin = "https://b.example";
  CHECK(at.status(beacon) == 415);
  beacon.origin = "https://a.example";
  CHECK_FALSE(at.of(beacon).reply);
  CHECK(at.about.origin_by_name);
  at.settings.auth.token.value = "S3cret";
  CHECK(at.status(beacon) == 401);
  beacon.target = "/api/v1/events?access_token=S3cret";
  CHECK_FALSE(at.of(beacon).reply);
  CHECK(at.status({.method = "GET", .target = "/api/v1/stats/summary?access_token=S3cret"}) == 401);
}

TEST_CASE("request handler: who asks for nothing there is learns what there is") {
  handler_fixture at;
  auto hint = [&](std::string_view target) {
    CHECK(at.status({.method = "GET", .target = target}) == 404);
    const auto& body = at.last.reply->body;
    auto begin = body.find(R"("detail":")") + 10;
    return body.substr(begin, body.find('"', begin) - begin);
  };
  CHECK(hint("/api/v1/stat/daily") == "did you mean /api/v1/stats/daily?");
  CHECK(hint("/health/ready/?x=1") == "did you mean /health/ready?");
  CHECK(hint("/manual") == "GET / lists what there is");
  CHECK(at.status({.method = "GET", .target = "/"}) == 200);
  CHECK(at.last.reply->type == "text/plain; charset=utf-8");
  CHECK(at.last.reply->body.find("\nPOST /api/v1/events\n    Takes events") != std::string::npos);
  CHECK(at.last.reply->body.find("\nGET /api/v1/stats/daily?start=&end= [timezone=]")
        != std::string::npos);
  CHECK(at.status({.method = "GET", .target = "/", .accept = "application/json"}) == 200);
  CHECK(at.last.reply->type == "application/json");
  CHECK(at.last.reply->body.find(R"({"method":"POST","path":"/api/v1/events",)")
        != std::string::npos);
  CHECK(at.last.reply->body.find(R"("help":"Rows of each added part, the most frequent first; )"
                                 R"(20 unless given, more than 200 counts as 200"})")
        != std::string::npos);
}

TEST_CASE("request handler: what the head alone forbids is refused before the body comes") {
  handler_fixture at;
  auto early = [&](request_fields request) {
    at.about = {};
    auto refused = at.handler.refuse_early(request, at.about);
    return refused ? refused->status : 0;
  };
  CHECK(early(post("")) == 0);
  CHECK(early(post("", "/nowhere")) == 404);
  CHECK(early(post("", "/health")) == 405);
  CHECK(at.about.allowed_methods == "GET, HEAD, OPTIONS");
  CHECK(early(post("", "/api/v1/events?dry=true")) == 422);
  auto request = post("");
  request.content_type = "text/csv";
  CHECK(early(request) == 415);
  request = post("");
  request.content_encoding = "br";
  CHECK(early(request) == 415);
  at.settings.auth.token.value = "S3cret";
  CHECK(early(post("")) == 401);
}

TEST_CASE("request handler: a token that is needed comes before the body is read") {
  handler_fixture at;
  at.settings.auth.token.value = "S3cret";
  auto request = post("no JSON");
  CHECK(at.status(request) == 401);
  request.authorization = "Bearer S3cret";
  CHECK(at.status(request) == 400);
}

TEST_CASE("request handler: a list comes as the client likes it, and format goes before Accept") {
  handler_fixture at;
  auto asked = [&](std::string_view path, std::string_view accept) {
    request_fields request{.method = "GET", .target = path, .accept = accept};
    request.if_none_match = "\"t\"";
    auto decided = at.of(request);
    REQUIRE(std::holds_alternative<reader_query>(decided.question));
    const auto& query = std::get<statistics_query>(std::get<reader_query>(decided.question));
    CHECK(at.about.known_tags == "\"t\"");
    return std::pair{query.parameters.text("format").value_or("none"),
                     std::string{at.about.media_type}};
  };
  using both = std::pair<std::string, std::string>;
  const both json{"json", "application/json"};
  const both csv{"csv", "text/csv; charset=utf-8; header=present"};
  const both ndjson{"ndjson", "application/x-ndjson"};
  const std::string list = "/api/v1/stats/daily?start=2026-01-01&end=2026-01-02";
  CHECK(asked(list, "") == json);
  CHECK(asked(list, "*/*") == json);
  CHECK(asked(list, "text/html,application/xhtml+xml,*/*;q=0.8") == json);
  CHECK(asked(list, "text/csv") == csv);
  CHECK(asked(list, "Text/CSV; charset=utf-8; q=0.9, application/json;q=0.8") == csv);
  CHECK(asked(list, "text/csv;q=0.8, application/json") == json);
  CHECK(asked(list, "text/*;q=0.5, application/json;q=0.4") == csv);
  CHECK(asked(list, "application/x-ndjson") == ndjson);
  CHECK(asked(list, "application/ndjson, text/csv;q=0") == ndjson);
  CHECK(asked(list, "image/png") == json);
  CHECK(asked(list, "text/csv;q=,,;;q=2;q") == json);
  CHECK(asked(list + "&format=ndjson", "text/csv") == ndjson);
  // What is no list is JSON.
  CHECK(asked("/api/v1/stats/summary", "text/csv") == both{"none", "application/json"});
}

TEST_CASE("request handler: a page may send the attributes that it asks for, and nothing else") {
  handler_fixture at;
  at.settings.cors.allowed_origins = {"https://a.example"};
  auto attributes = [&](std::string_view asked) {
    CHECK(at.status({.method = "OPTIONS",
                     .target = events_path,
                     .origin = "https://a.example",
                     .asked_headers = asked})
          == 200);
    return at.about.asked_attributes;
  };
  CHECK(attributes("").empty());
  CHECK(attributes("ce-dataschema, content-type,ce-shop ,Ce-X")
        == ", ce-dataschema, ce-shop, Ce-X");
  CHECK(attributes("x-ce-a, ce-, ce-a b, ce-\"c\", ce-a\x01, ,,").empty());
  std::string many;
  for (int i = 0; i < 1000; ++i)
    many += ",ce-abcd";
  CHECK(attributes(many).size() == 1017); // 113 of them, within 1024 bytes
}

TEST_CASE("request handler: a sender of webhooks from a page is told both that it may") {
  handler_fixture at;
  at.settings.cors.allowed_origins = {"https://a.example"};
  request_fields asks{.method = "OPTIONS",
                      .target = events_path,
                      .origin = "https://a.example",
                      .webhook_origin = "sender.example"};
  CHECK(at.status(asks) == 200);
  CHECK(at.about.origin == "https://a.example");
  CHECK(at.about.webhook_origin == "sender.example");
  asks.target = "/health";
  CHECK(at.status(asks) == 200);
  CHECK(at.about.origin == "https://a.example");
  CHECK(at.about.webhook_origin.empty());
}

TEST_CASE("request handler: a token in the address counts where the header brings none") {
  handler_fixture at;
  at.settings.auth.token.value = "S3cret";
  auto request = post(R"({"feature":"a"})", "/api/v1/events?access_token=S3cret");
  request.authorization = "Basic dTpw"; // of a proxy before us
  CHECK_FALSE(at.of(request).reply);
  request.authorization = "Bearer wrong";
  CHECK(at.status(request) == 401);
  request.target = events_path;
  request.authorization = "Basic dTpw";
  CHECK(at.status(request) == 401);
}
