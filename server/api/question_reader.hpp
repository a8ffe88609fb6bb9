#pragma once
/// From an endpoint and a query string to a question, or to what is wrong with it.

#include "protocol/endpoints.hpp"
#include "protocol/questions.hpp"
#include "server/api/problem.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phi::api {

/// What a question has that does not say otherwise, and its bounds.
struct question_defaults {
  std::string zone;
  int64_t max_range_days = 0;
  /// Of lists that are asked for without `format`; nothing: an answer can only be JSON.
  std::optional<std::string> format = {};
  std::optional<int64_t> now_us = {}; ///< what "today" and "now" mean; nothing: by the wall clock
};

struct read_query {
  reader_query query;                               ///< of an endpoint that the reader answers
  question_parameters parameters;                   ///< of any other
  std::string_view media_type = "application/json"; ///< of its answer; a literal
  std::vector<problem_detail> errors;               ///< not empty: it is not valid (422)
};

/// `a=b&c=d`, percent-decoded; `+` is a space. Nothing when an escape is broken or the text is not
/// UTF-8.
std::optional<std::vector<std::pair<std::string, std::string>>>
parse_query_string(std::string_view text);

/// What is wrong with a text that `parse_query_string` does not take.
inline constexpr std::string_view broken_query_string =
  "the query string holds a broken %-escape, or text that is not UTF-8";

/// Null: there is none. `path` without api.prefix.
const endpoint* find_question(std::string_view path);

/// Also of an endpoint that others answer. Every parameter is checked against the endpoint's row;
/// one that it does not have is an error too.
read_query read_question(const endpoint& asked, std::string_view query_string,
                         const question_defaults& defaults);

} // namespace phi::api
