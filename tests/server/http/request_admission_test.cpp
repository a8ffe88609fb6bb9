// Which requests are let in: by their rate, and by what their token may do.

#include "tests/server/http/handler_fixture.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/temp_dir.hpp"

#include <array>
#include <vector>

using namespace phi;
using namespace phi::http;
using namespace phi::testing;

TEST_CASE("request handler: who asks too often is told when to come again, and nobody else is") {
  handler_fixture at;
  at.settings.server.rate_limit = {.per_address = 2, .per_token = 0, .window_secs = 60};
  const auto event = post(R"({"feature":"a"})");
  const request_fields question{.method = "GET", .target = "/api/v1/stats/summary"};
  auto from = [&](std::string address, const request_fields& request) {
    at.client = std::move(address);
    return at.status(request);
  };
  CHECK(from("192.0.2.1", event) == 0);
  CHECK(at.about.rate_policy == R"("address";q=2;w=60)");
  CHECK(at.about.rate_left == R"("address";r=1;t=30)");
  CHECK(from("192.0.2.1", question) == 0);
  CHECK(at.about.rate_left == R"("address";r=0;t=60)");
  CHECK(from("192.0.2.1", event) == 429);
  CHECK_FALSE(at.last.events); // neither read nor counted
  CHECK(at.last.reply->retry_after_s == 30);
  CHECK(at.last.reply->type == "application/problem+json");
  CHECK(at.about.rate_left == R"("address";r=0;t=60)");
  CHECK(at.last.reply->body
        == R"({"type":"urn:x-phi-backend:rate_limited","title":"Too many requests","status":429,)"
           R"_("detail":"this address may make 2 requests in 60 seconds )_"
           R"_((server.rate_limit.per_address)","code":"rate_limited","requestId":"id"})_");
  CHECK(from("192.0.2.1", question) == 429);
  CHECK(from("192.0.2.2", event) == 0);
  CHECK(from("", event) == 0); // whose connection is gone
  CHECK(at.about.rate_policy.empty());
  at.now += std::chrono::seconds{30};
  CHECK(from("192.0.2.1", event) == 0);
  CHECK(from("192.0.2.1", event) == 429);
  at.settings.server.rate_limit.per_address = 0;
  CHECK(from("192.0.2.1", event) == 0);
}

TEST_CASE("request handler: health, the index, and what is not there are never limited") {
  handler_fixture at;
  at.settings.server.rate_limit = {.per_address = 1, .per_token = 1, .window_secs = 86'400};
  at.client = "192.0.2.1";
  CHECK(at.status({.method = "GET", .target = "/api/v1/stats/summary"}) == 0);
  CHECK(at.status({.method = "GET", .target = "/api/v1/stats/summary"}) == 429);
  const std::vector<std::pair<std::string, int>> free{{"/health/live", 200},
                                                      {"/health/ready", 503},
                                                      {"/health/startup", 503},
                                                      {"/", 200},
                                                      {"/nowhere", 404}};
  for (int i = 0; i < 3; ++i)
    for (const auto& row : free) {
      CAPTURE(row.first);
      CHECK(at.status({.method = "GET", .target = row.first}) == row.second);
      CHECK(at.about.rate_policy.empty());
    }
  CHECK(
    std::holds_alternative<health_query>(at.of({.method = "GET", .target = "/health"}).question));
}

TEST_CASE("request handler: a token has a quota of its own, from wherever it is used") {
  handler_fixture at;
  phi::testing::temp_dir directory;
  auto tokens = std::make_shared<api::token_store>(directory.path("tokens.json"));
  at.shared.tokens = tokens;
  auto first = "Bearer " + tokens->create("a", {scope::read}, std::nullopt)->secret;
  auto second = "Bearer " + tokens->create("b", {scope::admin}, std::nullopt)->secret;
  at.settings.auth.token.value = "S3cret";
  at.settings.server.rate_limit = {.per_address = 10, .per_token = 2, .window_secs = 60};
  auto asks = [&](const std::string& authorization, std::string from) {
    at.client = std::move(from);
    return at.status(
      {.method = "GET", .target = "/api/v1/stats/summary", .authorization = authorization});
  };
  CHECK(asks(first, "192.0.2.1") == 0);
  CHECK(at.about.rate_policy == R"("address";q=10;w=60, "token";q=2;w=60)");
  CHECK(at.about.rate_left == R"("address";r=9;t=6, "token";r=1;t=30)");
  CHECK(asks(first, "192.0.2.2") == 0);
  CHECK(asks(first, "192.0.2.3") == 429);
  CHECK(at.last.reply->body.find("server.rate_limit.per_token") != std::string::npos);
  CHECK(at.last.reply->retry_after_s == 30);
  for (const auto& other : {second, std::string{"Bearer S3cret"}}) {
    CHECK(asks(other, "192.0.2.3") == 0);
    CHECK(asks(other, "192.0.2.3") == 0);
    CHECK(asks(other, "192.0.2.3") == 429);
  }
  CHECK(at.status({.method = "GET", .target = "/metrics", .authorization = first}) == 0);
  CHECK(at.about.rate_policy.empty()); // who watches the service is never limited
  // Who guesses tokens spends from the quota of the address alone, and is stopped there.
  for (int i = 0; i < 10; ++i)
    CHECK(asks("Bearer guess" + std::to_string(i), "192.0.2.9") == 401);
  CHECK(asks("Bearer S3cret", "192.0.2.9") == 429);
}

TEST_CASE("request handler: a request whose head comes first spends once") {
  handler_fixture at;
  at.settings.server.rate_limit = {.per_address = 2, .per_token = 0, .window_secs = 60};
  at.client = "192.0.2.1";
  auto early = [&](const request_fields& request) {
    at.about = {.decided = at.now, .client = at.client};
    auto refused = at.handler.refuse_early(request, at.about);
    return refused ? refused->status : 0;
  };
  const auto event = post(R"({"feature":"a"})");
  CHECK(early(event) == 0);
  CHECK(at.status(event) == 0);
  CHECK(at.about.rate_left == R"("address";r=1;t=30)");
  CHECK(early(post("", "/api/v1/events?dry=true")) == 422); // the whole request never comes
  CHECK(at.about.rate_left == R"("address";r=0;t=60)");
  CHECK(early(event) == 429);
  CHECK(at.about.rate_left == R"("address";r=0;t=60)");
  CHECK(at.status(event) == 429);
}

TEST_CASE("request handler: a token lets in where its scope reaches, and nowhere else") {
  handler_fixture at;
  phi::testing::temp_dir directory;
  auto tokens = std::make_shared<api::token_store>(directory.path("tokens.json"));
  at.shared.tokens = tokens;
  const std::array bearers{std::string{},
                           "Bearer " + tokens->create("i", {scope::ingest}, std::nullopt)->secret,
                           "Bearer " + tokens->create("r", {scope::read}, std::nullopt)->secret,
                           "Bearer " + tokens->create("a", {scope::admin}, std::nullopt)->secret};
  struct row {
    std::string path;
    std::string_view method;
    /// Without a token, and with one of the scope ingest, read, admin; 0: let in.
    std::array<int, 4> refused;
  };
  constexpr std::array sends{401, 0, 403, 0};
  constexpr std::array reads{401, 403, 0, 0};
  constexpr std::array everybody{0, 0, 0, 0};
  const std::vector<row> rows{{"/api/v1/events", "POST", sends},
                              {"/api/v1/stats/daily", "GET", reads},
                              {"/api/v1/stats/daily/features", "GET", reads},
                              {"/api/v1/stats/daily/dau", "GET", reads},
                              {"/api/v1/stats/daily/http", "GET", reads},
                              {"/api/v1/stats/latency", "GET", reads},
                              {"/api/v1/stats/series", "GET", reads},
                              {"/api/v1/stats/summary", "GET", reads},
                              {"/api/v1/cluster", "GET", reads},
                              {"/api/v1/stats/live", "GET", reads},
                              {"/api/v1/lifecycle", "GET", reads},
                              {"/metrics", "GET", reads},
                              {"/docs", "GET", everybody},
                              {"/openapi.json", "GET", everybody},
                              {"/health", "GET", everybody},
                              {"/health/live", "GET", everybody},
                              {"/health/ready", "GET", everybody},
                              {"/health/startup", "GET", everybody},
                              {"/", "GET", everybody}};
  CHECK(rows.size() == endpoints.size());
  for (const auto& row : rows)
    for (size_t i = 0; i < bearers.size(); ++i) {
      CAPTURE(row.path);
      CAPTURE(i);
      auto status =
        at.status({.method = row.method, .target = row.path, .authorization = bearers[i]});
      CHECK((status == 401 || status == 403 ? status : 0) == row.refused[i]);
    }
}
