// The API described for programs and for people.

#include "server/http/answer_schemas.hpp"
#include "server/http/docs.hpp"
#include "server/http/openapi.hpp"
#include "tests/support/doctest.hpp"

#include <nlohmann/json.hpp>

#include <set>

using namespace phi;
using namespace phi::http;
using json = nlohmann::json;

namespace {

json described(bool with_tokens = false, bool stats = true) {
  return json::parse(openapi_of(route_table{"/api/v1", stats}, with_tokens));
}

const json& parameter(const json& operation, const std::string& name) {
  for (const auto& row : operation["parameters"])
    if (row["name"] == name)
      return row;
  FAIL("no parameter " << name);
  return operation;
}

} // namespace

TEST_CASE("OpenAPI: every route is there once, with the parameters of the table and an answer") {
  const auto document = described();
  CHECK(document["openapi"] == "3.1.0");
  CHECK(document["paths"].size() == endpoints.size());
  std::set<std::string> names;
  for (const auto& endpoint : endpoints) {
    auto path = (endpoint.counts() ? "/api/v1" : "") + std::string{endpoint.path};
    CAPTURE(path);
    const auto& operation = document["paths"][path][endpoint.method == "POST" ? "post" : "get"];
    CHECK(operation["summary"] == endpoint.help);
    CHECK(names.insert(operation["operationId"]).second);
    auto asked = operation.value("parameters", json::array());
    const size_t atomic = endpoint.kind == endpoint_kind::ingest ? 1 : 0;
    CHECK(asked.size() == endpoint.parameters.size() + atomic);
    const auto& content = operation["responses"]["200"]["content"];
    CHECK_FALSE(content.empty());
    if (!content.contains("application/json") || endpoint.kind == endpoint_kind::openapi)
      continue; // pages, streams and measurements have no schema
    auto schema = std::string{answer_schema_of(endpoint.path)};
    REQUIRE(schema != "");
    CHECK(content["application/json"]["schema"]["$ref"] == "#/components/schemas/" + schema);
    CHECK(document["components"]["schemas"].contains(schema));
  }
}

TEST_CASE("OpenAPI: parameters say type, words, bounds and what must be there") {
  const auto series = described()["paths"]["/api/v1/stats/series"]["get"];
  CHECK(parameter(series, "start")["required"] == true);
  CHECK_FALSE(parameter(series, "timezone").contains("required"));
  CHECK(parameter(series, "interval")["schema"]["enum"]
        == json::array({"hour", "day", "week", "month"}));
  CHECK(parameter(series, "class")
        == json::parse(R"({"name":"class","in":"query","description":)"
                       R"("Only these classes of statuses","explode":false,"schema":{"type":)"
                       R"("array","items":{"type":"string","enum":["1xx","2xx","3xx","4xx",)"
                       R"("5xx","all"]}}})"));
  CHECK(
    parameter(series, "route")["schema"]
    == json::parse(R"({"type":"array","items":{"type":"string","minLength":1,"maxLength":1024}})"));
  CHECK(parameter(series, "top")["schema"] == json::parse(R"({"type":"integer","minimum":1})"));
  CHECK(series["responses"]["200"]["content"].contains("text/csv"));
  CHECK(series["responses"].contains("304"));
  CHECK(series["responses"]["422"]["$ref"] == "#/components/responses/Problem");
  CHECK_FALSE(
    described()["paths"]["/api/v1/stats/summary"]["get"]["responses"]["200"]["content"].contains(
      "text/csv"));
}

TEST_CASE(
  "OpenAPI: a token is asked for where the service does, and nothing that is switched off") {
  auto scheme = json::parse(R"([{"token":[]}])");
  auto open = described();
  auto guarded = described(true);
  CHECK(open["paths"]["/api/v1/events"]["post"]["security"] == json::array());
  CHECK(guarded["paths"]["/api/v1/events"]["post"]["security"] == scheme);
  CHECK(guarded["paths"]["/api/v1/events"]["post"]["description"]
        == "Needs a token of scope ingest");
  CHECK(guarded["paths"]["/api/v1/stats/daily"]["get"]["security"] == scheme);
  CHECK(guarded["paths"]["/health"]["get"]["security"] == json::array());
  CHECK(guarded["components"]["securitySchemes"]["token"]["scheme"] == "bearer");
  CHECK_FALSE(open["components"].contains("securitySchemes"));
  auto without_stats = described(false, false);
  CHECK_FALSE(without_stats["paths"].contains("/api/v1/events"));
  CHECK(without_stats["paths"].contains("/health"));
}

TEST_CASE("docs: one page with every route, which needs nothing else and lets nothing else in") {
  auto page = docs_of(route_table{"/<b>", true});
  CHECK(page.type == "text/html; charset=utf-8");
  for (const auto& endpoint : endpoints)
    CHECK(page.body.find((endpoint.counts() ? "/&lt;b&gt;" : "") + std::string{endpoint.path}
                         + "</code></h2>")
          != std::string::npos);
  CHECK(page.body.find("<b>") == std::string::npos);
  CHECK(page.body.find("<script") == std::string::npos);
  CHECK(page.body.find("http:") == std::string::npos);
  CHECK(page.body.find("https:") == std::string::npos);
  CHECK(page.page_policy.starts_with("default-src 'none'; "));
}
