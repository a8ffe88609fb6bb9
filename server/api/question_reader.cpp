#include "server/api/question_reader.hpp"

#include "config/keys.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/api/answer_format.hpp"
#include "server/api/moment_reader.hpp"
#include "server/api/parameter_names.hpp"
#include "server/api/zone_trouble.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/series_question.hpp"
#include "server/statistics/time_zones.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace phi::api {
namespace {

using text_pairs = std::vector<std::pair<std::string, std::string>>;

// -- who answers ----------------------------------------------------------------------------------

using query_maker = reader_query (*)(const endpoint&, question_parameters);

template <statistics_query::answer_function Answer>
reader_query statistics_of(const endpoint& asked, question_parameters parameters) {
  return statistics_query{asked.path, std::move(parameters), Answer};
}

/// What more than each parameter alone can be wrong.
using query_check = void (*)(const question_parameters&,
                             std::vector<statistics::parameter_complaint>&);

struct answerer {
  std::string_view path;
  query_maker make;
  query_check check = nullptr; ///< of parameters that are all valid; null: there is none
};

/// One for each question of `endpoints`.
constexpr std::array answerers{
  answerer{"/stats/daily", statistics_of<statistics::daily>},
  answerer{"/stats/daily/features", statistics_of<statistics::daily_features>},
  answerer{"/stats/daily/dau", statistics_of<statistics::daily_active_users>},
  answerer{"/stats/daily/http", statistics_of<statistics::daily_http>},
  answerer{"/stats/latency", statistics_of<statistics::latencies>},
  answerer{"/stats/series", statistics_of<statistics::series>,
           [](const auto& parameters, auto& complaints) {
             statistics::read_series_question(parameters, complaints);
           }},
  answerer{"/stats/summary", statistics_of<statistics::summary>},
  answerer{"/cluster",
           [](const endpoint&, question_parameters) -> reader_query { return cluster_query{}; }},
};

/// The end of `answerers`: there is none.
constexpr auto answerer_of(std::string_view path) {
  return std::find_if(answerers.begin(), answerers.end(),
                      [&](const answerer& row) { return row.path == path; });
}

static_assert(std::all_of(endpoints.begin(), endpoints.end(),
                          [](const endpoint& row) {
                            return (row.kind == endpoint_kind::question)
                                   == (answerer_of(row.path) != answerers.end());
                          }),
              "every question has its answerer");

reader_query make_query(const endpoint& asked, question_parameters parameters) {
  return answerer_of(asked.path)->make(asked, std::move(parameters));
}

// -- the query string -----------------------------------------------------------------------------

int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    i += 2;
  }
  return out;
}

/// Databases and JSON take nothing else.
bool is_utf8(const std::string& text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

/// The parts of a text between any of `separators`.
std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> out;
  for (size_t at = text.find_first_not_of(separators); at != text.npos;) {
    auto end = std::min(text.find_first_of(separators, at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(separators, end);
  }
  return out;
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& name : names)
    all += (all.empty() ? "" : ", ") + name;
  return all;
}

// -- the parameters -------------------------------------------------------------------------------

/// Who is told so many has enough to mend; the answer to a short request stays short.
constexpr size_t most_complaints = 16;

class parameter_parser {
public:
  parameter_parser(const endpoint& asked, const question_defaults& defaults)
    : endpoint_(asked),
      defaults_(defaults) {}

  read_query run(std::string_view query_string) {
    auto list = parse_query_string(query_string);
    if (!list)
      complain("", std::string{broken_query_string});
    else
      take_all(*list);
    if (errors_.empty())
      check_together();
    if (!errors_.empty())
      return {.query = {}, .errors = std::move(errors_)};
    auto type = media_type_of(parameters_.text("format").value_or("json"));
    if (endpoint_.kind != endpoint_kind::question)
      return {.parameters = std::move(parameters_), .media_type = type};
    return {.query = make_query(endpoint_, std::move(parameters_)), .media_type = type};
  }

private:
  void take_all(const text_pairs& list) {
    std::set<std::string_view> seen;
    for (const auto& [name, value] : list) // what a day is depends on it
      if (const auto* row = find(name); row && row->type == parameter_type::time_zone)
        zone_ = is_time_zone(value) ? value : zone_;
    for (const auto& [name, value] : list) {
      if (errors_.size() > most_complaints)
        return;
      const auto* row = find(name);
      if (!seen.insert(name).second && !(row && row->repeatable))
        complain(name, "the parameter is given twice");
      else if (row)
        take(*row, value);
      else
        complain_of_unknown(name);
    }
    for (const auto& row : endpoint_.parameters)
      if (!parameters_.has(row.name))
        fill_in(row);
    check_range();
  }

  void complain(std::string_view name, std::string message) {
    if (errors_.size() > most_complaints)
      return;
    if (errors_.size() == most_complaints) {
      name = {};
      message = "and more; the first " + std::to_string(most_complaints) + " are named";
    }
    errors_.push_back({.code = error_code::invalid_query,
                       .pointer = std::string{name},
                       .message = std::move(message)});
  }

  bool complained_of(std::string_view name) const {
    return std::any_of(errors_.begin(), errors_.end(),
                       [&](const auto& e) { return e.pointer == name; });
  }

  void complain_of_unknown(const std::string& name) {
    std::vector<std::string> known;
    for (const auto& row : endpoint_.parameters)
      known.emplace_back(row.name);
    auto meant = meant_parameter(name);
    auto best = find(meant) ? std::string{meant} : closest(name, known);
    if (known.empty())
      complain(name, "unknown parameter; there is none here");
    else
      complain(name, best.empty() ? "unknown parameter; there are " + joined(known)
                                  : "unknown parameter; did you mean " + best + "?");
  }

  const endpoint_parameter* find(std::string_view name) const {
    for (const auto& row : endpoint_.parameters)
      if (row.name == name)
        return &row;
    return nullptr;
  }

  void take(const endpoint_parameter& row, const std::string& value) {
    switch (row.type) {
      case parameter_type::date: return take_date(row, value);
      case parameter_type::moment: return take_moment(row, value);
      case parameter_type::range: return take_range(row, value);
      case parameter_type::time_zone: return take_zone(row, value);
      case parameter_type::text: return take_text(row, value);
      case parameter_type::number: return take_number(row, value);
      case parameter_type::words: return take_words(row, value);
      case parameter_type::choice: return take_choice(row, value);
    }
  }

  void take_date(const endpoint_parameter& row, const std::string& value) {
    if (auto day = moments().day(value))
      parameters_.put(row.name, *day);
    else
      complain(row.name, what_is_wrong_with_day(value));
  }

  void take_moment(const endpoint_parameter& row, const std::string& value) {
    if (auto when = moments().time(value))
      parameters_.put(row.name, *when);
    else
      complain(row.name, what_is_wrong_with_moment(value));
  }

  void take_range(const endpoint_parameter& row, const std::string& value) {
    const auto read = moments();
    if (auto range = read.range(value))
      parameters_.put(row.name, *range);
    else
      complain(row.name, what_is_wrong_with_range(value, read));
  }

  moment_reader moments() const { return {zone_, defaults_.now_us.value_or(wall_clock_us())}; }

  void take_zone(const endpoint_parameter& row, const std::string& value) {
    if (is_time_zone(value))
      return parameters_.put(row.name, value);
    complain(row.name, what_is_wrong_with_zone(value));
  }

  void take_text(const endpoint_parameter& row, const std::string& value) {
    if (value.empty())
      complain(row.name, "the text is empty; leave it out to mean all");
    else if (value.size() > row.most)
      complain(row.name, "the text may have up to " + std::to_string(row.most) + " bytes");
    else if (value.find('\0') != value.npos)
      complain(row.name, "the text may not hold the character NUL");
    else if (row.repeatable)
      parameters_.append(row.name, value);
    else
      parameters_.put(row.name, value);
  }

  void take_number(const endpoint_parameter& row, const std::string& value) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || number <= 0)
      return complain(row.name, "expected a whole number from 1 to " + std::to_string(row.most));
    parameters_.put(row.name, static_cast<uint32_t>(std::min<int64_t>(number, row.most)));
  }

  void take_words(const endpoint_parameter& row, const std::string& value) {
    auto known = split(row.words, " ");
    question_parameters::word_set words;
    for (const auto& word : split(value, ",; \t\r\n"))
      if (word == "all")
        words.insert(known.begin(), known.end());
      else if (std::find(known.begin(), known.end(), word) != known.end())
        words.insert(word);
      else
        complain(row.name,
                 "unknown part " + word.substr(0, 40) + "; there are " + joined(known) + ", all");
    if (words.empty() && !row.may_name_none && !complained_of(row.name))
      complain(row.name, "the list is empty; leave it out, or name some of " + joined(known));
    parameters_.put(row.name, std::move(words));
  }

  void take_choice(const endpoint_parameter& row, const std::string& value) {
    auto known = split(row.words, " ");
    if (row.name == "format" && !defaults_.format && value != "json")
      return complain(row.name, "here the answer can only be json");
    if (std::find(known.begin(), known.end(), value) != known.end())
      return parameters_.put(row.name, value);
    auto best = closest(value, known);
    complain(row.name, "expected one of " + joined(known)
                         + (best.empty() || value.empty() ? "" : "; did you mean " + best + "?"));
  }

  void fill_in(const endpoint_parameter& row) {
    if (row.type == parameter_type::time_zone)
      parameters_.put(row.name, defaults_.zone);
    else if (row.name == "format")
      parameters_.put(row.name, defaults_.format.value_or("json"));
    else if (row.required && !complained_of(row.name))
      complain(row.name, "the parameter is required: a date such as 2026-01-31");
  }

  void check_together() {
    std::vector<statistics::parameter_complaint> found;
    if (auto answers = answerer_of(endpoint_.path); answers != answerers.end() && answers->check)
      answers->check(parameters_, found);
    for (auto& complaint : found)
      complain(complaint.parameter, std::move(complaint.message));
  }

  void check_range() {
    if (find_moments())
      return check_times();
    auto first = parameters_.day("start");
    auto last = parameters_.day("end");
    if (!first || !last)
      return;
    if (*last < *first)
      complain("end", "end must not be before start");
    else if (*last - *first + 1 > defaults_.max_range_days)
      complain("end",
               "the range may have up to " + std::to_string(defaults_.max_range_days) + " days");
  }

  bool find_moments() const {
    const auto* row = find("start");
    return row && row->type == parameter_type::moment;
  }

  void check_times() {
    auto first = parameters_.time("start");
    auto last = parameters_.time("end");
    if (!first || !last)
      return;
    const statistics::series_range asked{*first, *last};
    const auto range = asked.in_zone(zone_);
    // A day may have an hour more.
    constexpr int64_t hour_us = 3'600'000'000;
    constexpr int64_t day_us = 24 * hour_us;
    if (auto wrong = asked.what_is_wrong(zone_); !wrong.empty())
      complain("end", wrong);
    else if ((range.end_us - range.begin_us - 2 * hour_us) / day_us >= defaults_.max_range_days)
      complain("end",
               "the range may have up to " + std::to_string(defaults_.max_range_days) + " days");
  }

  const endpoint& endpoint_;
  const question_defaults& defaults_;
  std::string zone_ = defaults_.zone;
  question_parameters parameters_;
  std::vector<problem_detail> errors_;
};

} // namespace

std::optional<text_pairs> parse_query_string(std::string_view text) {
  text_pairs out;
  for (size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('&', at), text.size());
    auto pair = text.substr(at, end - at);
    auto equals = std::min(pair.find('='), pair.size());
    auto name = percent_decode(pair.substr(0, equals));
    auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value))
      return std::nullopt;
    if (!pair.empty())
      out.emplace_back(std::move(*name), std::move(*value));
    at = end + 1;
  }
  return out;
}

const endpoint* find_question(std::string_view path) {
  for (const auto& endpoint : endpoints)
    if (endpoint.path == path && endpoint.kind == endpoint_kind::question)
      return &endpoint;
  return nullptr;
}

read_query read_question(const endpoint& asked, std::string_view query_string,
                         const question_defaults& defaults) {
  return parameter_parser{asked, defaults}.run(query_string);
}

} // namespace phi::api
