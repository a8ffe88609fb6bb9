#pragma once
/// The routes, made from the table of endpoints.

#include "protocol/endpoints.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

struct route {
  std::string path; ///< with the prefix
  const endpoint* serves = nullptr;
};

class route_table {
public:
  /// `prefix` as in api.prefix. With `stats` off only the health routes are there.
  route_table(const std::string& prefix, bool stats);

  struct match {
    const route* found = nullptr;
    std::string allowed; ///< the methods the path has, when the method is wrong
  };

  match find(std::string_view method, std::string_view path) const;

  /// The path that somebody means who asks for `path`, which there is not: without its prefix, with
  /// a slash too much, misspelt. Empty: none is near.
  std::string meant(std::string_view path) const;

  const std::vector<route>& all() const { return routes_; }
  const std::string& prefix() const { return prefix_; }

private:
  bool has(std::string_view path) const;

  std::string prefix_;
  std::vector<route> routes_;
};

} // namespace phi::http
