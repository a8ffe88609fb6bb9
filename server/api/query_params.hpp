#pragma once
/// Reads the query string of a question.

#include "protocol/query.hpp"
#include "server/api/problem.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phi::api {

struct read_query {
  query what;
  std::vector<problem_detail> errors; ///< not empty: it is not valid (422)
};

struct query_defaults {
  std::string zone;
  int64_t max_range_days = 0;
};

/// `a=b&c=d`, percent-decoded; `+` is a space. Nothing when an escape is broken or
/// the text is not UTF-8.
std::optional<std::vector<std::pair<std::string, std::string>>>
parse_query_string(std::string_view text);

/// Every parameter is checked; unknown ones are errors too.
read_query read_question(query_kind kind, std::string_view query_string,
                         const query_defaults& defaults);

} // namespace phi::api
