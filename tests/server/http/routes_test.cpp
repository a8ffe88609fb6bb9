#include "server/http/routes.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::http;

TEST_CASE("routes: found by method and path; a wrong method learns which are right") {
  route_table table{"/api/v1", true};
  CHECK(table.find("POST", "/api/v1/events").found->what == action::ingest);
  CHECK(table.find("HEAD", "/health").found->what == action::health);
  CHECK(table.find("GET", "/api/v1/events").allowed == "POST, OPTIONS");
  CHECK(table.find("POST", "/health").allowed == "GET, HEAD, OPTIONS");
  CHECK(table.find("GET", "/api/v1/events/").found == nullptr);
  CHECK(route_table("/api/v1", false).find("POST", "/api/v1/events").found == nullptr);
}
