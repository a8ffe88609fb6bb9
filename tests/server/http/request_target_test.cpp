// Where a request goes.

#include "server/http/request_target.hpp"
#include "tests/support/doctest.hpp"

using namespace phi::http;

TEST_CASE("targets: a path, or a whole address whose host is no matter") {
  struct {
    std::string_view target, path, query;
  } const rows[] = {
    {"/health?a=b?c", "/health", "a=b?c"},
    {"/health", "/health", ""},
    {"/health?", "/health", ""},
    {"http://host/health?x=1", "/health", "x=1"},
    {"HTTPS://[::1]:3939/health", "/health", ""},
    {"http://host:80", "/", ""},
    {"http://host?x=1", "/", "x=1"},
    {"http://host/http://other/a", "/http://other/a", ""},
    {"/a?to=http://host/", "/a", "to=http://host/"},
    {"*", "*", ""},
    {"ftp://host/health", "ftp://host/health", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.target);
    auto read = read_target(row.target);
    REQUIRE(read);
    CHECK(read->path == row.path);
    CHECK(read->query == row.query);
  }
  for (std::string_view bad :
       {"http:///health", "http://", "http://:80/", "http://u:p@host/health"}) {
    CAPTURE(bad);
    CHECK_FALSE(read_target(bad));
  }
}
