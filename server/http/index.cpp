#include "server/http/index.hpp"

#include "server/http/docs.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace phi::http {
namespace {

using json = nlohmann::ordered_json;

std::string as_json(const route_table& routes) {
  json rows = json::array();
  for (const auto& route : routes.all()) {
    json parameters = json::array();
    for (const auto& row : route.serves->parameters)
      parameters.push_back({{"name", row.name}, {"required", row.required}, {"help", row.help}});
    rows.push_back({{"method", route.serves->method},
                    {"path", route.path},
                    {"help", route.serves->help},
                    {"parameters", std::move(parameters)}});
  }
  return json{{"service", "phi-backend"}, {"version", PHI_VERSION}, {"rows", std::move(rows)}}
    .dump();
}

/// " ?start=&end= [timezone=]", the required ones first.
std::string in_words(const endpoint& asked) {
  std::string required;
  std::string others;
  for (const auto& row : asked.parameters)
    if (row.required)
      required += (required.empty() ? "?" : "&") + std::string{row.name} + "=";
    else
      others += " [" + std::string{row.name} + "=]";
  return required + others;
}

std::string as_text(const route_table& routes) {
  std::string out = "phi-backend " PHI_VERSION "\n";
  for (const auto& route : routes.all())
    out += "\n" + std::string{route.serves->method} + " " + route.path + in_words(*route.serves)
           + "\n    " + std::string{route.serves->help} + "\n";
  return out;
}

} // namespace

answer index_of(const route_table& routes, std::string_view accept) {
  if (accept.find("application/json") != accept.npos)
    return {.body = as_json(routes)};
  if (accept.find("text/html") != accept.npos)
    return docs_of(routes);
  return {.body = as_text(routes), .type = "text/plain; charset=utf-8"};
}

} // namespace phi::http
