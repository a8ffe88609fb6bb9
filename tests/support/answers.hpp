#pragma once
/// Answers to questions as they come over HTTP, out of whatever counts.

#include "server/api/question_reader.hpp"
#include "server/statistics/answer_list.hpp"
#include "server/statistics/tally.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace phi::testing {

inline api::read_query read_answer(std::string_view path, std::string_view query_string) {
  return api::read_question(*api::find_question(path), query_string, {"UTC", 400, "json"});
}

inline std::string answer_text(statistics::tally_source& counts, std::string_view path,
                               std::string_view query_string,
                               std::optional<int64_t> start_at_us = {}) {
  auto read = read_answer(path, query_string);
  if (!read.errors.empty())
    throw std::invalid_argument(read.errors[0].pointer + ": " + read.errors[0].message);
  const auto& asked = std::get<statistics_query>(read.query);
  return asked.answer(counts, asked.parameters, start_at_us);
}

} // namespace phi::testing
