#include "protocol/admin.hpp"
#include "protocol/endpoints.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

namespace phi::ctl {
namespace {

using namespace std::chrono_literals;

/// A bar of eighths, as long as `share` of `width` characters.
std::string bar_of(double share, int width) {
  static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  auto parts = static_cast<int>(share * width * 8 + 0.5);
  std::string out;
  for (int i = 0; i < parts / 8; ++i)
    out += "█";
  return out + eighths[parts % 8];
}

std::string url_escape(const std::string& text) {
  std::string out;
  for (unsigned char c : text) {
    char hex[4];
    if (std::isalnum(c) || std::strchr("-._~", c))
      out += static_cast<char>(c);
    else if (std::snprintf(hex, sizeof hex, "%%%02X", c) > 0)
      out += hex;
  }
  return out;
}

/// The parameters by name. What was given is sent, also an empty text: the service says what is
/// wrong with it.
struct given_parameters {
  std::map<std::string, std::optional<std::string>, std::less<>> once;
  std::map<std::string, std::vector<std::string>, std::less<>> repeated;
  std::string when; ///< today, yesterday; empty: not given
  std::string last; ///< 7d, 24h; empty: not given

  bool has(std::string_view name) const {
    auto single = once.find(name);
    auto several = repeated.find(name);
    return (single != once.end() && single->second)
           || (several != repeated.end() && !several->second.empty());
  }

  std::string query_string() const {
    std::string out;
    auto add = [&](const std::string& name, const std::string& value) {
      out += (out.empty() ? "" : "&") + name + "=" + url_escape(value);
    };
    for (const auto& [name, value] : once)
      if (value)
        add(name, *value);
    for (const auto& [name, values] : repeated)
      for (const auto& value : values)
        add(name, value);
    return out;
  }
};

json ask_statistics(const command_context& context, std::string_view path,
                    const std::string& query_string) {
  return ask(context, admin_wire::method_ask, {{"path", path}, {"query", query_string}}, 30s);
}

/// "-" for what is not known.
std::string text_or_dash(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : show_json(value);
}

/// Rows with a bar for their count.
void print_bars(table rows, const std::vector<uint64_t>& counts) {
  uint64_t most = 1;
  for (auto count : counts)
    most = std::max(most, count);
  for (size_t i = 0; i < counts.size(); ++i)
    rows[i + 1].push_back(
      paint(colour::green, bar_of(static_cast<double>(counts[i]) / static_cast<double>(most), 30)));
  rows[0].push_back("");
  print_table(rows, alignment::numbers_right);
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
  for (const auto& [date, numbers] : days) {
    rows.push_back({date, group_digits(numbers.first), group_digits(numbers.second)});
    counts.push_back(numbers.first);
  }
  print_bars(std::move(rows), counts);
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
  print_bars(std::move(rows), counts);
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
      rows.push_back(
        {head, shown{show_json(latency[name])} + "  "
                 + paint(colour::green, bar_of(latency[name].get<double>() / most, 30))});
  print() << group_digits(latency.value("sampleCount", uint64_t{0})) << " timed events\n";
  print_table(rows, alignment::numbers_right);
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
  print_bars(std::move(rows), counts);
}

void print_user_kinds(const json& kinds) {
  table rows{{"KIND OF USER", "USERS"}};
  std::vector<uint64_t> counts;
  for (const auto& kind : kinds) { // [name, count]
    counts.push_back(kind.at(1).get<uint64_t>());
    rows.push_back({text_or_dash(kind.at(0)), group_digits(counts.back())});
  }
  print() << "\n";
  print_bars(std::move(rows), counts);
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
  print() << "zone " << text("timezone") << ", first event " << text("firstEventAt") << ", last "
          << text("lastEventAt") << "\n";
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
  print_bars(std::move(rows), counts);
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
    print_table(table_of(list), alignment::numbers_right);
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

void print_range(const json& answer) {
  auto rows = table_of(answer["rows"]);
  if (rows.size() > 1) {
    std::vector<shown> total{"total"};
    if (answer.contains("keys"))
      total.emplace_back("");
    add_cells(total, answer["totals"]);
    rows.push_back(std::move(total));
  }
  print_table(rows, alignment::numbers_right);
  if (!answer.contains("keys") || answer["keys"].empty())
    return;
  print() << "\n";
  print_rows(answer["keys"]);
}

void print_series(const json& answer) {
  print_range(answer);
  if (!answer.contains("compare"))
    return;
  const auto& compared = answer["compare"];
  print() << "\n"
          << text_or_dash(compared["start"]) << " to " << text_or_dash(compared["end"]) << ":\n";
  print_range(compared);
}

/// The keys with a bar for their events.
void print_keys(const json& answer) {
  const auto& keys = answer["keys"];
  if (keys.empty())
    return print_rows(keys);
  std::vector<uint64_t> counts;
  for (const auto& row : keys)
    counts.push_back(row.value("events", uint64_t{0}));
  print_bars(table_of(keys), counts);
}

/// How the answers of a command are shown on a terminal.
using answer_printer = void (*)(const json& answer);

answer_printer printer_of(std::string_view command) {
  static const std::map<std::string_view, answer_printer> printers{
    {"daily", print_daily},   {"features", print_features}, {"dau", print_list},
    {"http", print_http},     {"latency", print_list},      {"summary", print_summary},
    {"series", print_series}, {"routes", print_keys},       {"errors", print_keys}};
  auto found = printers.find(command);
  return found == printers.end() ? [](const json& answer) { print_json(answer, 2); }
                                 : found->second;
}

/// `7d`: the last seven days, with today. `24h`: up to now.
void set_last(given_parameters& given, const std::string& last) {
  const auto unit = last.empty() ? '\0' : last.back();
  const auto number = last.substr(0, last.empty() ? 0 : last.size() - 1);
  const bool whole =
    !number.empty() && number.size() < 6 && number.find_first_not_of("0123456789") == number.npos;
  const auto count = whole ? std::stol(number) : 0;
  if (count < 1 || (unit != 'd' && unit != 'w' && unit != 'h'))
    throw failure{exit_status::usage, "--last: expected days, weeks or hours, such as 7d, 4w, 24h"};
  given.once["start"] = unit == 'h' ? "-" + number + "h"
                                    : "-" + std::to_string(count * (unit == 'w' ? 7 : 1) - 1) + "d";
  given.once["end"] = unit == 'h' ? "now" : "today";
}

/// From `today`, `--last` and the like to the parameters of the question.
void set_range(given_parameters& given, bool needed) {
  const bool in_words = !given.when.empty() || !given.last.empty();
  if (in_words && (given.has("start") || given.has("end")))
    throw failure{exit_status::usage, "--start and --end say which days; today, yesterday and "
                                      "--last do so as well"};
  if (!given.when.empty() && !given.last.empty())
    throw failure{exit_status::usage, "either today or yesterday, or --last"};
  if (!given.last.empty())
    set_last(given, given.last);
  else if (!given.when.empty())
    given.once["start"] = given.once["end"] = given.when;
  else if (needed && !(given.has("start") && given.has("end")))
    throw failure{exit_status::usage, "which days? --start and --end, --last 7d, today, or "
                                      "yesterday"};
}

bool needs_range(const endpoint& asked) {
  return std::any_of(asked.parameters.begin(), asked.parameters.end(),
                     [](const auto& row) { return row.required; });
}

/// `more`: parameters that were not asked for otherwise, as a query string.
void run_stats(const command_context& context, const endpoint& asked, std::string_view command,
               given_parameters given, std::string_view more = {}) {
  set_range(given, needs_range(asked));
  auto query = given.query_string();
  while (!more.empty()) {
    auto pair = more.substr(0, more.find('&'));
    more.remove_prefix(std::min(more.size(), pair.size() + 1));
    if (!given.has(pair.substr(0, pair.find('='))))
      query += "&" + std::string{pair};
  }
  auto answer = ask_statistics(context, asked.path, query);
  if (context.json)
    print_json(answer, 2);
  else
    printer_of(command)(answer);
}

const char* type_name(parameter_type type) {
  switch (type) {
    case parameter_type::date: return "DATE";
    case parameter_type::time_zone: return "ZONE";
    case parameter_type::number: return "N";
    case parameter_type::words: return "WORD,...";
    case parameter_type::choice: return "WORD";
    case parameter_type::moment: return "TIME";
    case parameter_type::text: break;
  }
  return "TEXT";
}

std::string help_of(const endpoint_parameter& row) {
  std::string out{row.help};
  if (!row.words.empty())
    out += ": " + std::string{row.words} + (row.type == parameter_type::words ? " all" : "");
  return row.most > 0 ? out + ", up to " + std::to_string(row.most) : out;
}

/// A command from its row in the table: an option for each parameter. `metrics`: those that can be
/// told, where these are not all.
CLI::App* add_endpoint_command(CLI::App& stats, const endpoint& asked, std::string_view command,
                               std::string_view help, given_parameters& given,
                               std::string_view metrics = {}) {
  auto* added = stats.add_subcommand(std::string{command}, std::string{help});
  for (const auto& row : asked.parameters) {
    if (row.name == "format")
      continue; // what is asked here is shown here, or --json
    std::string name{row.name};
    auto about = name == "metrics" && !metrics.empty() ? "What is counted: " + std::string{metrics}
                                                       : help_of(row);
    auto* option =
      row.repeatable
        ? added->add_option("--" + name, given.repeated[name], about)->allow_extra_args(false)
        : added->add_option("--" + name, given.once[name], about);
    option->type_name(type_name(row.type));
  }
  added->add_option("--last", given.last, "The last days, weeks or hours: 7d, 4w, 24h")
    ->type_name("TIME");
  added->add_option("when", given.when, "today or yesterday")
    ->check(CLI::IsMember({"today", "yesterday"}))
    ->type_name("DAY");
  added->footer("Example: phictl stats " + std::string{command} + " --last 7d");
  return added;
}

const endpoint& endpoint_at(std::string_view path) {
  return *std::find_if(endpoints.begin(), endpoints.end(),
                       [&](const auto& row) { return row.path == path; });
}

} // namespace

void add_stats(CLI::App& app, command_context& context) {
  auto* stats = app.add_subcommand("stats", "Ask what was counted");
  stats->require_subcommand(1);
  stats->footer("Example: phictl stats daily --last 7d");
  for (const auto& endpoint : endpoints) {
    if (endpoint.command.empty())
      continue;
    auto given = std::make_shared<given_parameters>();
    add_endpoint_command(*stats, endpoint, endpoint.command, endpoint.help, *given)
      ->callback(
        [&context, &endpoint, given] { run_stats(context, endpoint, endpoint.command, *given); });
  }
  for (const auto& shortcut : endpoint_shortcuts) {
    auto given = std::make_shared<given_parameters>();
    const auto& asked = endpoint_at(shortcut.path);
    add_endpoint_command(*stats, asked, shortcut.command, shortcut.help, *given, shortcut.metrics)
      ->callback([&context, &asked, &shortcut, given] {
        run_stats(context, asked, shortcut.command, *given, shortcut.parameters);
      });
  }
}

} // namespace phi::ctl
