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
using given_parameters = std::map<std::string, std::optional<std::string>, std::less<>>;

json ask_statistics(const command_context& context, std::string_view path,
                    const given_parameters& given) {
  std::string query;
  for (const auto& [name, value] : given)
    if (value)
      query += (query.empty() ? "" : "&") + name + "=" + url_escape(*value);
  return ask(context, admin_wire::method_ask, {{"path", path}, {"query", query}}, 30s);
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
  print_table(rows);
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
  print_table(rows);
}

void stats_latency(const command_context& context, given_parameters given) {
  given["include"] = "latency";
  auto answer = ask_statistics(context, "/stats/summary", given);
  auto latency = answer.value("latency", json::object());
  if (context.json)
    print_json(latency, 2);
  else
    print_latency(latency);
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

/// How the answers of a command are shown on a terminal.
using answer_printer = void (*)(const json& answer);

answer_printer printer_of(std::string_view command) {
  static const std::map<std::string_view, answer_printer> printers{
    {"daily", print_daily}, {"features", print_features}, {"summary", print_summary}};
  auto found = printers.find(command);
  return found == printers.end() ? [](const json& answer) { print_json(answer, 2); }
                                 : found->second;
}

void run_stats(const command_context& context, const endpoint& asked,
               const given_parameters& given) {
  auto answer = ask_statistics(context, asked.path, given);
  if (context.json)
    print_json(answer, 2);
  else
    printer_of(asked.command)(answer);
}

const char* type_name(parameter_type type) {
  switch (type) {
    case parameter_type::date: return "DATE";
    case parameter_type::time_zone: return "ZONE";
    case parameter_type::number: return "N";
    case parameter_type::words: return "WORD,...";
    case parameter_type::text: break;
  }
  return "TEXT";
}

std::string help_of(const endpoint_parameter& row) {
  std::string out{row.help};
  if (!row.words.empty())
    out += ": " + std::string{row.words} + " all";
  return row.most > 0 ? out + ", up to " + std::to_string(row.most) : out;
}

/// A command from its row in the table: an option for each parameter.
CLI::App* add_endpoint_command(CLI::App& stats, const endpoint& asked, given_parameters& given) {
  auto* command = stats.add_subcommand(std::string{asked.command}, std::string{asked.help});
  bool needs_range = false;
  for (const auto& row : asked.parameters) {
    std::string name{row.name};
    command->add_option("--" + name, given[name], help_of(row))
      ->type_name(type_name(row.type))
      ->required(row.required);
    needs_range |= row.required;
  }
  command->footer("Example: phictl stats " + std::string{asked.command}
                  + (needs_range ? " --start 2026-01-01 --end 2026-01-31" : ""));
  return command;
}

} // namespace

void add_stats(CLI::App& app, command_context& context) {
  auto* stats = app.add_subcommand("stats", "Ask what was counted");
  stats->require_subcommand(1);
  stats->footer("Example: phictl stats daily --start 2026-01-01 --end 2026-01-31");
  for (const auto& endpoint : endpoints) {
    if (endpoint.command.empty())
      continue;
    auto given = std::make_shared<given_parameters>();
    add_endpoint_command(*stats, endpoint, *given)->callback([&context, &endpoint, given] {
      run_stats(context, endpoint, *given);
    });
  }
  auto given = std::make_shared<given_parameters>();
  auto* latency = stats->add_subcommand("latency", "How long the timed events took");
  for (const auto& row : endpoint_table::daily_features)
    latency->add_option("--" + std::string{row.name}, (*given)[std::string{row.name}], help_of(row))
      ->type_name(type_name(row.type));
  latency->footer("Example: phictl stats latency");
  latency->callback([&context, given] { stats_latency(context, *given); });
}

} // namespace phi::ctl
