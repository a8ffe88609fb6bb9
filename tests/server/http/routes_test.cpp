#include "server/http/routes.hpp"
#include "tests/support/doctest.hpp"

#include <string>
#include <vector>

using namespace phi;
using namespace phi::http;

TEST_CASE("routes: found by method and path; a wrong method learns which are right") {
  route_table table{"/api/v1", true};
  CHECK(table.find("POST", "/api/v1/events").found->serves->kind == endpoint_kind::ingest);
  CHECK(table.find("HEAD", "/health").found->serves->kind == endpoint_kind::health);
  CHECK(table.find("GET", "/api/v1/events").allowed == "POST, OPTIONS");
  CHECK(table.find("POST", "/health").allowed == "GET, HEAD, OPTIONS");
  CHECK(table.find("GET", "/api/v1/events/").found == nullptr);
  CHECK(route_table("/api/v1", false).find("POST", "/api/v1/events").found == nullptr);
}

TEST_CASE("routes: each with its method, what a token must allow, and whether it is of the API") {
  struct row {
    std::string path;
    std::string_view method;
    scope needs;
    endpoint_kind kind;
  };
  const std::vector<row> rows{
    {"/p/events", "POST", scope::ingest, endpoint_kind::ingest},
    {"/p/stats/daily", "GET", scope::read, endpoint_kind::question},
    {"/p/stats/daily/features", "GET", scope::read, endpoint_kind::question},
    {"/p/stats/daily/dau", "GET", scope::read, endpoint_kind::question},
    {"/p/stats/daily/http", "GET", scope::read, endpoint_kind::question},
    {"/p/stats/latency", "GET", scope::read, endpoint_kind::question},
    {"/p/stats/series", "GET", scope::read, endpoint_kind::question},
    {"/p/stats/summary", "GET", scope::read, endpoint_kind::question},
    {"/p/cluster", "GET", scope::read, endpoint_kind::question},
    {"/health", "GET", scope::none, endpoint_kind::health},
    {"/health/live", "GET", scope::none, endpoint_kind::live},
    {"/health/ready", "GET", scope::none, endpoint_kind::ready},
    {"/health/startup", "GET", scope::none, endpoint_kind::startup},
    {"/p/stats/live", "GET", scope::read, endpoint_kind::stream},
    {"/p/lifecycle", "GET", scope::read, endpoint_kind::lifecycle},
    {"/metrics", "GET", scope::read, endpoint_kind::metrics},
    {"/", "GET", scope::none, endpoint_kind::index},
    {"/docs", "GET", scope::none, endpoint_kind::docs},
    {"/openapi.json", "GET", scope::none, endpoint_kind::openapi},
  };
  CHECK(rows.size() == endpoints.size());
  const route_table all{"/p", true};
  const route_table health_only{"/p", false};
  for (const auto& row : rows) {
    CAPTURE(row.path);
    const auto* found = all.find(row.method, row.path).found;
    REQUIRE(found);
    CHECK(found->serves->needs == row.needs);
    CHECK(found->serves->kind == row.kind);
    bool of_the_api = row.path.starts_with("/p/");
    CHECK(found->serves->counts() == of_the_api);
    CHECK((health_only.find(row.method, row.path).found == nullptr) == of_the_api);
  }
}

TEST_CASE("routes: the path that is meant has a slash or a prefix too many, too few, or a letter") {
  const route_table table{"/api/v1", true};
  for (const auto* near : {"/api/v1/stats/daily/", "/stats/daily", "/v1/stats/daily",
                           "/api/v2/stats/daily", "/api/v1/stat/daily", "/api/v1/stats/dayly",
                           "/API/V1/stats/daily", "/api/v1/stats/daily//"}) {
    CAPTURE(near);
    CHECK(table.meant(near) == "/api/v1/stats/daily");
  }
  CHECK(table.meant("/api/v1/health") == "/health");
  CHECK(table.meant("/health/redy") == "/health/ready");
  CHECK(table.meant("/api/v1/stats/dau") == "/api/v1/stats/daily/dau");
  CHECK(table.meant("/stats/http/") == "/api/v1/stats/daily/http");
  CHECK(table.meant("/api/v1/stats/features") == "/api/v1/stats/daily/features");
  CHECK(table.meant("/api/v1/summary") == "/api/v1/stats/summary");
  for (const auto* far : {"/", "//", "/a", "/api", "/api/v1", "/manual", "/api/v1/stats/revenue",
                          "/api/v1/nothing", "/favicon.ico"}) {
    CAPTURE(far);
    CHECK(table.meant(far).empty());
  }
  CHECK(table.meant("/" + std::string(5000, 'x')).empty());
}
