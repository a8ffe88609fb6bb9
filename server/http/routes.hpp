#pragma once
/// The one table of routes.

#include "protocol/endpoints.hpp"
#include "server/api/tokens.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phi::http {

enum class action : uint8_t {
  ingest,
  question, ///< answered by the reader
  health,   ///< state of queue and ledger
  live,
  ready,
  startup,
};

struct route {
  std::string path;        ///< with the prefix
  std::string_view method; ///< "GET" also serves HEAD
  action what;
  const endpoint* asks = nullptr;      ///< of a question
  bool tracked = false;                ///< recorded as an event of the service itself
  api::scope needs = api::scope::none; ///< of its token
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

private:
  std::vector<route> routes_;
};

} // namespace phi::http
