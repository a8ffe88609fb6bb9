#include "server/http/routes.hpp"

namespace phi::http {

route_table::route_table(const std::string& prefix, bool stats) {
  for (const auto& endpoint : endpoints)
    if (stats || !endpoint.counts())
      routes_.push_back(
        {(endpoint.counts() ? prefix : "") + std::string{endpoint.path}, &endpoint});
}

route_table::match route_table::find(std::string_view method, std::string_view path) const {
  match out;
  for (const auto& route : routes_) {
    if (route.path != path)
      continue;
    auto takes = route.serves->method;
    if (takes == method || (method == "HEAD" && takes == "GET"))
      return {&route, {}};
    out.allowed += std::string{takes} + (takes == "GET" ? ", HEAD, " : ", ");
  }
  if (!out.allowed.empty())
    out.allowed += "OPTIONS";
  return out;
}

} // namespace phi::http
