#include "tools/phictl/statistics_tables.hpp"

#include "tools/phictl/tables.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <map>
#include <numeric>
#include <string>
#include <utility>

namespace phi::ctl {
namespace {

using json = nlohmann::ordered_json;

/// "-" for what is not known.
std::string text_or_dash(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : show_json(value);
}

void print_daily(const json& answer) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> days;
  for (const auto& row : answer) {
    auto& [count, errors] = days[row.value("date", "?")];
    count += row.value("count", uint64_t{0});
    errors += row.value("errCount", uint64_t{0});
  }
  table rows{{"DATE", "EVENTS", "ERRORS"}};
  std::vector<uint64_t> counts;
  std::pair<uint64_t, uint64_t> all;
  for (const auto& [date, numbers] : days) {
    rows.push_back({date, group_digits(numbers.first), group_digits(numbers.second)});
    counts.push_back(numbers.first);
    all.first += numbers.first;
    all.second += numbers.second;
  }
  if (!days.empty())
    rows.push_back({"total", group_digits(all.first), group_digits(all.second)});
  print_bars(std::move(rows), counts, 1);
}

void print_features(const json& answer) {
  table rows{{"DATE", "FEATURE", "EVENTS", "USERS"}};
  std::vector<uint64_t> counts;
  for (const auto& row : answer["rows"]) {
    counts.push_back(row.value("count", uint64_t{0}));
    rows.push_back({row.value("date", "?"), text_or_dash(row["feature"]),
                    group_digits(counts.back()),
                    group_digits(row.value("uniqueUsers", uint64_t{0}))});
  }
  print_bars(std::move(rows), counts, 2);
}

void print_latency(const json& latency) {
  table rows{{"LATENCY", "MS"}};
  double most = 1;
  for (auto name : {"avgMs", "p50Ms", "p95Ms", "p99Ms", "maxMs"})
    if (latency.contains(name) && latency[name].is_number())
      most = std::max(most, latency[name].get<double>());
  for (auto [name, head] : {std::pair{"avgMs", "average"},
                            {"p50Ms", "half of them within"},
                            {"p95Ms", "95 % within"},
                            {"p99Ms", "99 % within"},
                            {"maxMs", "longest"}})
    if (latency.contains(name) && latency[name].is_number())
      rows.push_back({head, shown{show_json(latency[name])} + "  "
                              + bar_of(latency[name].get<double>() / most, longest_bar)});
  print() << group_digits(latency.value("sampleCount", uint64_t{0})) << " timed events\n";
  print_numbers(rows, 1);
}

/// A part of the summary that was included, if it was: the most frequent first.
void print_ranking(const json& answer, const char* part, const char* name, const char* head) {
  if (!answer.contains(part))
    return;
  table rows{{head, "EVENTS"}};
  std::vector<uint64_t> counts;
  for (const auto& row : answer[part]) {
    counts.push_back(row.value("count", uint64_t{0}));
    rows.push_back({text_or_dash(row.value(name, json{})), group_digits(counts.back())});
  }
  print() << "\n";
  print_bars(std::move(rows), counts, 1);
}

void print_user_kinds(const json& kinds) {
  table rows{{"KIND OF USER", "USERS"}};
  std::vector<uint64_t> counts;
  for (const auto& kind : kinds) { // [name, count]
    counts.push_back(kind.at(1).get<uint64_t>());
    rows.push_back({text_or_dash(kind.at(0)), group_digits(counts.back())});
  }
  print() << "\n";
  print_bars(std::move(rows), counts, 1);
}

void print_included(const json& answer) {
  print_ranking(answer, "routes", "route", "ROUTE");
  print_ranking(answer, "methods", "method", "METHOD");
  print_ranking(answer, "statusCodes", "status", "STATUS");
  print_ranking(answer, "instances", "instance", "INSTANCE");
  print_ranking(answer, "actions", "action", "ACTION");
  if (answer.contains("uniqueUsers") && answer["uniqueUsers"].contains("byKind"))
    print_user_kinds(answer["uniqueUsers"]["byKind"]);
  if (answer.contains("latency")) {
    print() << "\n";
    print_latency(answer["latency"]);
  }
}

void print_summary(const json& answer) {
  auto text = [&](const char* name) { return text_or_dash(answer.value(name, json{})); };
  print() << "zone " << text("timezone") << "\n";
  print() << "first event " << text("firstEventAt") << ", last " << text("lastEventAt") << "\n";
  auto number = [&](const char* name) { return group_digits(answer.value(name, uint64_t{0})); };
  print() << number("eventsTotal") << " events; " << number("httpTotal")
          << " of them with a route, " << number("httpErrors") << " of these errors\n";
  if (answer.contains("uniqueUsers"))
    print() << group_digits(answer["uniqueUsers"].value("total", uint64_t{0})) << " users\n";
  if (answer.contains("uniqueIps"))
    print() << group_digits(answer.value("uniqueIps", uint64_t{0})) << " addresses\n";
  table rows{{"FEATURE", "EVENTS", "LAST"}};
  std::vector<uint64_t> counts;
  for (const auto& feature : answer["features"]) {
    counts.push_back(feature.value("count", uint64_t{0}));
    rows.push_back({text_or_dash(feature["feature"]), group_digits(counts.back()),
                    text_or_dash(feature["lastAt"])});
  }
  if (counts.size() > 1)
    rows.push_back(
      {"total", group_digits(std::accumulate(counts.begin(), counts.end(), uint64_t{0})), ""});
  print_bars(std::move(rows), counts, 1);
  print_included(answer);
}

/// "ERROR RATE" of "errorRate".
std::string head_of(const std::string& field) {
  std::string out;
  for (char c : field) {
    if (std::isupper(static_cast<unsigned char>(c)))
      out += ' ';
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string fixed(double number) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", number);
  return text;
}

std::string cell_of(const std::string& field, const json& value) {
  if (value.is_number_float())
    return field.ends_with("Rate") ? fixed(value.get<double>() * 100) + " %"
                                   : fixed(value.get<double>());
  if (value.is_number_unsigned())
    return group_digits(value.get<uint64_t>());
  return text_or_dash(value);
}

void add_cells(std::vector<shown>& to, const json& row) {
  for (const auto& [field, value] : row.items())
    to.push_back(cell_of(field, value));
}

/// How many of the fields of a row, which begins with them, say what its numbers are of.
size_t names_in(const json& row) {
  constexpr std::string_view names[] = {"date",    "range", "bucket", "key",
                                        "feature", "route", "method"};
  size_t count = 0;
  for (const auto& [field, value] : row.items()) {
    if (std::find(std::begin(names), std::end(names), field) == std::end(names))
      break;
    ++count;
  }
  return count;
}

/// Rows that all have the same fields.
table table_of(const json& list) {
  table rows{{}};
  for (const auto& row : list) {
    if (rows.size() == 1)
      for (const auto& [field, value] : row.items())
        rows[0].push_back(head_of(field));
    add_cells(rows.emplace_back(), row);
  }
  return rows;
}

void print_rows(const json& list) {
  if (list.empty())
    print() << "nothing was counted\n";
  else
    print_numbers(table_of(list), names_in(list.front()));
}

void print_list(const json& answer) {
  print_rows(answer["rows"]);
}

void print_http(const json& answer) {
  print_rows(answer["totals"]);
  if (answer["routes"].empty())
    return;
  print() << "\n";
  print_rows(answer["routes"]);
}

/// "only class 4xx, 5xx; route /a", where not all events are told of.
void print_filters(const json& answer) {
  const auto filters = answer.value("filters", json::object());
  std::string chosen;
  for (const auto& [attribute, values] : filters.items()) {
    chosen += (chosen.empty() ? "only " : "; ") + attribute;
    const char* before = " ";
    for (const auto& value : values)
      chosen += std::exchange(before, ", ") + text_or_dash(value);
  }
  if (!chosen.empty())
    print() << chosen << "\n\n";
}

/// What `print_one` shows of the range that was asked for, then of the one that it is compared
/// with.
void print_both(const json& answer, answer_printer print_one) {
  print_filters(answer);
  print_one(answer);
  if (!answer.contains("compare"))
    return;
  const auto& compared = answer["compare"];
  print() << "\n"
          << text_or_dash(compared["start"]) << " to " << text_or_dash(compared["end"]) << ":\n";
  print_one(compared);
}

void print_range(const json& answer) {
  if (answer["rows"].empty())
    return print_rows(answer["rows"]);
  auto rows = table_of(answer["rows"]);
  std::vector<shown> total{"total"};
  if (answer.contains("keys"))
    total.emplace_back("");
  add_cells(total, answer["totals"]);
  rows.push_back(std::move(total));
  print_numbers(rows, names_in(answer["rows"].front()));
  if (!answer.contains("keys"))
    return;
  print() << "\n";
  print_rows(answer["keys"]);
}

void print_series(const json& answer) {
  print_both(answer, print_range);
}

/// The keys with a bar for their events.
void print_keys_of_range(const json& answer) {
  const auto& keys = answer["keys"];
  if (keys.empty())
    return print_rows(keys);
  std::vector<uint64_t> counts;
  for (const auto& row : keys)
    counts.push_back(row.value("events", uint64_t{0}));
  print_bars(table_of(keys), counts, names_in(keys.front()));
}

void print_keys(const json& answer) {
  print_both(answer, print_keys_of_range);
}

} // namespace

answer_printer printer_of(std::string_view command) {
  static const std::map<std::string_view, answer_printer> printers{
    {"daily", print_daily},   {"features", print_features}, {"dau", print_list},
    {"http", print_http},     {"latency", print_list},      {"summary", print_summary},
    {"series", print_series}, {"routes", print_keys},       {"errors", print_keys}};
  auto found = printers.find(command);
  return found == printers.end() ? [](const json& answer) { print_json(answer, 2); }
                                 : found->second;
}

} // namespace phi::ctl
