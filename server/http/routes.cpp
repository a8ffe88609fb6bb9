#include "server/http/routes.hpp"

#include "protocol/text/closest.hpp"

#include <algorithm>

namespace phi::http {

route_table::route_table(const std::string& prefix, bool stats) : prefix_(prefix) {
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

bool route_table::has(std::string_view path) const {
  return std::any_of(routes_.begin(), routes_.end(),
                     [&](const route& row) { return row.path == path; });
}

std::string route_table::meant(std::string_view path) const {
  auto end = path.find_last_not_of('/');
  auto bare = path.substr(0, end == path.npos ? 0 : end + 1);
  if (bare.empty() || bare.size() > longest_misspelt)
    return {};
  // What is under another prefix, or none, has the same end: /events, /api/v2/events.
  for (auto at = size_t{0}; at < bare.size(); at = std::min(bare.find('/', at + 1), bare.size()))
    for (const auto* before : {prefix_.c_str(), ""})
      if (auto whole = before + std::string{bare.substr(at)}; has(whole))
        return whole;
  // The last part decides: the others are alike in many paths, or left out, as in /stats/dau.
  auto last = [](std::string_view whole) { return whole.substr(whole.rfind('/') + 1); };
  std::vector<std::string> paths;
  for (const auto& row : routes_) {
    if (last(row.path) == last(bare))
      return row.path;
    if (row.path != "/")
      paths.push_back(row.path);
  }
  auto best = closest(bare, paths);
  auto wrong = edit_distance(last(bare), last(best));
  return wrong <= most_letters_wrong(last(bare).size()) ? best : std::string{};
}

} // namespace phi::http
