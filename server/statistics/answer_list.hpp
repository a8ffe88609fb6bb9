#pragma once
/// Lists as answers: rows that have the same columns.

#include "protocol/questions.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace phi::statistics {

/// What is asked cannot be answered; `what()` says what can be asked instead (422).
class refused_question : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

class answer_list {
public:
  using value = nlohmann::ordered_json; ///< null, a text, or a number

  /// Of one answer.
  static constexpr size_t most_rows = 50'000;

  explicit answer_list(std::vector<std::string> columns) : columns_(std::move(columns)) {}

  /// A value for each column. Throws `refused_question` when there are too many rows.
  void add(std::vector<value> row);

  /// An array of objects.
  std::string as_json() const;
  /// An object a line.
  std::string as_ndjson() const;
  /// RFC 4180, with a head; nothing is an empty field. A text that a spreadsheet would take for a
  /// formula gets an apostrophe in front, for senders choose these texts.
  std::string as_csv() const;

private:
  /// What is in front of each value of an object.
  std::vector<std::string> members() const;

  std::vector<std::string> columns_;
  std::vector<std::vector<value>> rows_;
};

/// In the format that is asked for: only the rows, or nothing when that is JSON, which has more
/// beside them.
std::optional<std::string> rows_alone(const answer_list& rows,
                                      const question_parameters& parameters);

/// A JSON object with more members, which are JSON texts.
class json_envelope {
public:
  explicit json_envelope(const nlohmann::ordered_json& head) : text_(head.dump()) {}
  json_envelope& add(std::string_view name, std::string_view member);
  std::string take() { return std::move(text_); }

private:
  std::string text_;
};

} // namespace phi::statistics
