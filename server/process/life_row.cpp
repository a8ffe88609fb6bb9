#include "protocol/text/rfc3339.hpp"
#include "server/process/life_history.hpp"
#include "server/statistics/answer_list.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace phi {
namespace {

using json = nlohmann::ordered_json;

/// In the order of the columns; rows have those that apply.
constexpr std::array columns{"at",     "until",    "kind",   "detail", "version", "mode",
                             "reason", "exitCode", "tookMs", "heldBy", "heldMs",  "runId"};

struct known_text {
  const char* name;
  std::string life_row::*member;
};
constexpr std::array texts{
  known_text{"detail", &life_row::detail},  known_text{"version", &life_row::version},
  known_text{"mode", &life_row::mode},      known_text{"reason", &life_row::reason},
  known_text{"heldBy", &life_row::held_by}, known_text{"runId", &life_row::run_id}};

template <class Value>
void add(json& to, const char* name, const std::optional<Value>& value) {
  if (value)
    to[name] = *value;
}

/// Texts are as short as they are useful: a file that somebody has changed holds no long ones.
std::optional<std::string> text_in(const json& from, const char* name) {
  constexpr size_t longest = 400;
  auto found = from.find(name);
  if (found == from.end() || !found->is_string())
    return std::nullopt;
  auto out = found->get<std::string>();
  return out.size() <= longest ? std::optional{out} : std::nullopt;
}

std::optional<double> number_in(const json& from, const char* name) {
  auto found = from.find(name);
  return found != from.end() && found->is_number() ? std::optional{found->get<double>()}
                                                   : std::nullopt;
}

} // namespace

json to_json(const life_row& row) {
  json out = json::object();
  for (const auto* column : columns) // in their order
    out[column] = json{};
  out["at"] = format_rfc3339(row.at_us);
  if (row.until_us)
    out["until"] = format_rfc3339(*row.until_us);
  out["kind"] = to_string(row.kind);
  for (const auto& [name, member] : texts)
    if (!(row.*member).empty())
      out[name] = row.*member;
  out["detail"] = row.detail;
  add(out, "exitCode", row.exit_code);
  add(out, "tookMs", row.took_ms);
  add(out, "heldMs", row.held_ms);
  for (const auto* column : columns)
    if (out[column].is_null())
      out.erase(column);
  return out;
}

std::optional<life_row> read_life_row(const json& from) {
  if (!from.is_object())
    return std::nullopt;
  auto kind = parse_life_kind(text_in(from, "kind").value_or(""));
  auto at = parse_rfc3339(text_in(from, "at").value_or(""));
  if (!kind || !at)
    return std::nullopt;
  life_row out{.kind = *kind, .at_us = *at};
  out.until_us = parse_rfc3339(text_in(from, "until").value_or(""));
  for (const auto& [name, member] : texts)
    out.*member = text_in(from, name).value_or("");
  if (auto code = number_in(from, "exitCode"))
    out.exit_code = static_cast<int>(*code);
  out.took_ms = number_in(from, "tookMs");
  out.held_ms = number_in(from, "heldMs");
  return out;
}

std::string life_answer(const std::vector<life_row>& rows, std::string_view format) {
  std::string lines;
  json array = json::array();
  statistics::answer_list table{{columns.begin(), columns.end()}};
  for (const auto& row : rows) {
    auto told = to_json(row);
    lines += told.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    std::vector<json> cells;
    for (const auto* column : columns)
      cells.push_back(told.value(column, json{}));
    table.add(std::move(cells));
    array.push_back(std::move(told));
  }
  if (format == "csv")
    return table.as_csv();
  return format == "ndjson"
           ? lines
           : json{{"rows", std::move(array)}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace phi
