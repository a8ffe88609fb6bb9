#include "server/http/openapi.hpp"

#include "server/api/tokens.hpp"
#include "server/http/answer_schemas.hpp"

#include <nlohmann/json.hpp>

#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace phi::http {
namespace {

using json = nlohmann::ordered_json;

json reference(const std::string& to) {
  return {{"$ref", "#/components/" + to}};
}

std::vector<std::string> words_of(const endpoint_parameter& row) {
  std::istringstream line{std::string{row.words}};
  return {std::istream_iterator<std::string>{line}, {}};
}

json schema_of(const endpoint_parameter& row) {
  auto words = words_of(row);
  switch (row.type) {
    case parameter_type::date:
      return {{"type", "string"}, {"examples", {"2026-01-31", "today", "yesterday", "-6d"}}};
    case parameter_type::moment:
      return {{"type", "string"},
              {"examples", {"2026-01-31", "-6d", "now", "-24h", "2026-01-31T12:00:00Z"}}};
    case parameter_type::time_zone:
      return {{"type", "string"}, {"examples", {"Europe/Berlin", "UTC"}}};
    case parameter_type::range:
      return {{"type", "string"}, {"examples", {"previous", "2026-01-01..2026-01-31"}}};
    case parameter_type::text: {
      json text{{"type", "string"}, {"minLength", 1}, {"maxLength", row.most}};
      return row.repeatable ? json{{"type", "array"}, {"items", std::move(text)}} : text;
    }
    case parameter_type::number: return {{"type", "integer"}, {"minimum", 1}};
    case parameter_type::words: words.emplace_back("all"); [[fallthrough]];
    case parameter_type::choice: break;
  }
  json choice{{"type", "string"}, {"enum", words}};
  return row.type == parameter_type::words ? json{{"type", "array"}, {"items", std::move(choice)}}
                                           : choice;
}

json parameter_of(const endpoint_parameter& row) {
  json out{{"name", row.name}, {"in", "query"}, {"description", row.help}};
  if (row.required)
    out["required"] = true;
  if (row.type == parameter_type::words)
    out["explode"] = false; // commas between them
  out["schema"] = schema_of(row);
  return out;
}

/// The statuses that it may be refused with, of those in the table of errors.
std::set<int> refusals_of(const endpoint& described) {
  switch (described.kind) {
    case endpoint_kind::question:
    case endpoint_kind::lifecycle:
    case endpoint_kind::stream: return {400, 401, 403, 404, 422, 429, 503};
    case endpoint_kind::ingest: return {400, 401, 403, 408, 413, 415, 422, 429, 500, 503};
    case endpoint_kind::health: return {400, 503};
    case endpoint_kind::metrics: return {400, 401, 403, 503};
    case endpoint_kind::ready:
    case endpoint_kind::startup: return {400, 503};
    default: return {400};
  }
}

json content_of(const endpoint& described) {
  json out;
  if (auto schema = answer_schema_of(described.path); !schema.empty())
    out["application/json"]["schema"] = reference("schemas/" + std::string{schema});
  for (const auto& row : described.parameters)
    if (row.name == "format")
      for (const auto* type : {"text/csv", "application/x-ndjson"})
        out[type]["schema"] = {{"type", "string"}};
  if (described.kind == endpoint_kind::index)
    out["text/plain"]["schema"] = {{"type", "string"}};
  if (described.kind == endpoint_kind::index || described.kind == endpoint_kind::docs)
    out["text/html"]["schema"] = {{"type", "string"}};
  if (described.kind == endpoint_kind::metrics)
    for (const auto* type : {"text/plain", "application/openmetrics-text"})
      out[type]["schema"] = {{"type", "string"}};
  if (described.kind == endpoint_kind::stream)
    out["text/event-stream"]["schema"] = {{"type", "string"}};
  if (described.kind == endpoint_kind::openapi)
    out["application/json"]["schema"] = {{"type", "object"}};
  return out;
}

json responses_of(const endpoint& described) {
  json out;
  const auto content = content_of(described);
  out["200"] = {{"description", described.kind == endpoint_kind::ingest
                                  ? "All that was valid is stored, and flushed to disk"
                                  : "The answer"},
                {"content", content}};
  if (described.kind == endpoint_kind::ingest)
    out["202"] = {{"description", "Accepted, and kept on local disk until the database takes it"},
                  {"content", content}};
  if (described.kind == endpoint_kind::question || described.kind == endpoint_kind::lifecycle) {
    out["200"]["headers"]["ETag"]["schema"]["type"] = "string";
    out["304"] = {{"description", "It is what the ETag in If-None-Match says"}};
  }
  for (auto status : refusals_of(described))
    out[std::to_string(status)] = reference("responses/Problem");
  return out;
}

json request_of_ingest() {
  const auto event = reference("schemas/Event");
  json content;
  content["application/json"]["schema"]["oneOf"] = {event, {{"type", "array"}, {"items", event}}};
  content["application/x-ndjson"]["schema"] = {{"type", "string"},
                                               {"description", "An event a line"}};
  for (const auto* type : {"application/cloudevents+json", "application/cloudevents-batch+json"})
    content[type]["schema"] = {{"description", "CloudEvents 1.0"}};
  return {{"required", true}, {"content", std::move(content)}};
}

/// "get_stats_daily": what a generator calls the function.
std::string name_of(const endpoint& described) {
  std::string out = described.method == "POST" ? "post" : "get";
  for (auto letter : described.path == "/" ? std::string_view{"/index"} : described.path)
    out += letter == '/' || letter == '.' ? '_' : letter;
  return out;
}

std::string tag_of(const endpoint& described) {
  if (described.kind == endpoint_kind::ingest)
    return "events";
  return described.kind == endpoint_kind::question || described.kind == endpoint_kind::stream
           ? "questions"
           : "operation";
}

json operation_of(const endpoint& described, bool with_tokens) {
  json out{{"operationId", name_of(described)},
           {"summary", described.help},
           {"tags", {tag_of(described)}}};
  if (with_tokens && described.needs != scope::none) {
    out["description"] = "Needs a token of scope " + std::string{api::to_string(described.needs)};
    out["security"] = json::array({{{"token", json::array()}}});
  } else {
    out["security"] = json::array();
  }
  for (const auto& row : described.parameters)
    out["parameters"].push_back(parameter_of(row));
  if (described.kind == endpoint_kind::ingest) {
    out["parameters"].push_back({{"name", "atomic"},
                                 {"in", "query"},
                                 {"description", "All events of the request, or none"},
                                 {"schema", {{"type", "boolean"}}}});
    out["requestBody"] = request_of_ingest();
  }
  out["responses"] = responses_of(described);
  return out;
}

} // namespace

std::string openapi_of(const route_table& routes, bool with_tokens) {
  json out{{"openapi", "3.1.0"},
           {"info",
            {{"title", "Phi-Backend"},
             {"version", PHI_VERSION},
             {"summary", "Usage events are taken, stored durably, and each counted once"},
             {"license", {{"name", "BSD 3-Clause"}, {"identifier", "BSD-3-Clause"}}}}},
           {"servers", json::array({{{"url", "/"}, {"description", "This service"}}})},
           {"tags", json::array({{{"name", "events"}, {"description", "What happened"}},
                                 {{"name", "questions"}, {"description", "What it adds up to"}},
                                 {{"name", "operation"}, {"description", "How the service is"}}})}};
  for (const auto& route : routes.all()) {
    auto method = route.serves->method == "POST" ? "post" : "get";
    out["paths"][route.path][method] = operation_of(*route.serves, with_tokens);
  }
  auto& components = out["components"];
  components["schemas"] = json::parse(answer_schemas());
  components["responses"]["Problem"]["description"] = "What is wrong, and what would be right";
  components["responses"]["Problem"]["content"]["application/problem+json"]["schema"] =
    reference("schemas/Problem");
  if (with_tokens)
    components["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
  return out.dump();
}

} // namespace phi::http
