#include "server/statistics/answer_list.hpp"

namespace phi::statistics {
namespace {

std::string csv_field(const answer_list::value& value) {
  if (!value.is_string())
    return value.is_null() ? std::string{} : value.dump();
  auto text = value.get<std::string>();
  if (text.find_first_of("=+-@\t\r") == 0)
    text.insert(0, "'");
  if (text.find_first_of("\",\r\n") == text.npos)
    return text;
  std::string out = "\"";
  for (char c : text)
    out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

} // namespace

void answer_list::add(std::vector<value> row) {
  if (rows_.size() == most_rows)
    throw refused_question{"the answer would have more than " + std::to_string(most_rows)
                           + " rows; ask for a shorter range, for longer buckets, or for less"};
  rows_.push_back(std::move(row));
}

std::vector<std::string> answer_list::members() const {
  std::vector<std::string> out;
  for (const auto& column : columns_)
    out.push_back((out.empty() ? "{" : ",") + value(column).dump() + ":");
  return out;
}

std::string answer_list::as_json() const {
  const auto names = members();
  std::string out = "[";
  for (const auto& row : rows_) {
    if (out.size() > 1)
      out += ',';
    for (size_t i = 0; i < names.size(); ++i)
      out.append(names[i]).append(row[i].dump());
    out += '}';
  }
  return out + "]";
}

std::string answer_list::as_ndjson() const {
  const auto names = members();
  std::string out;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < names.size(); ++i)
      out.append(names[i]).append(row[i].dump());
    out += "}\n";
  }
  return out;
}

std::string answer_list::as_csv() const {
  std::string out;
  for (size_t i = 0; i < columns_.size(); ++i)
    out += (i > 0 ? "," : "") + columns_[i];
  out += "\r\n";
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i)
      out += (i > 0 ? "," : "") + csv_field(row[i]);
    out += "\r\n";
  }
  return out;
}

std::optional<std::string> rows_alone(const answer_list& rows,
                                      const question_parameters& parameters) {
  const auto format = parameters.text("format");
  if (format == "csv")
    return rows.as_csv();
  if (format == "ndjson")
    return rows.as_ndjson();
  return {};
}

json_envelope& json_envelope::add(std::string_view name, std::string_view member) {
  text_.back() = text_.size() > 2 ? ',' : '{';
  text_.append("\"").append(name).append("\":").append(member).append("}");
  return *this;
}

} // namespace phi::statistics
