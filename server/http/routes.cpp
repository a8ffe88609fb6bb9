#include "server/http/routes.hpp"

namespace phi::http {

route_table::route_table(const std::string& prefix, bool stats) {
  if (stats) {
    routes_.push_back({.path = prefix + "/events",
                       .method = "POST",
                       .what = action::ingest,
                       .tracked = true,
                       .needs = api::scope::ingest});
    for (const auto& endpoint : endpoints)
      routes_.push_back({.path = prefix + std::string{endpoint.path},
                         .method = "GET",
                         .what = action::question,
                         .asks = &endpoint,
                         .tracked = true,
                         .needs = api::scope::read});
  }
  routes_.push_back({.path = "/health", .method = "GET", .what = action::health});
  routes_.push_back({.path = "/health/live", .method = "GET", .what = action::live});
  routes_.push_back({.path = "/health/ready", .method = "GET", .what = action::ready});
  routes_.push_back({.path = "/health/startup", .method = "GET", .what = action::startup});
}

route_table::match route_table::find(std::string_view method, std::string_view path) const {
  match out;
  for (const auto& route : routes_) {
    if (route.path != path)
      continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET"))
      return {&route, {}};
    out.allowed += std::string{route.method} + (route.method == "GET" ? ", HEAD, " : ", ");
  }
  if (!out.allowed.empty())
    out.allowed += "OPTIONS";
  return out;
}

} // namespace phi::http
