#include "protocol/admin.hpp"
#include "protocol/endpoints.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"
#include "tools/phictl/statistics_tables.hpp"

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

/// What --last takes.
std::string lengths_of(bool by_time) {
  return by_time ? "days, weeks or hours, such as 7d, 4w or 24h"
                 : "days or weeks, such as 7d or 4w";
}

/// `7d`: the last seven days, with today. `24h`: up to now, of what is counted `by_time`.
void set_last(given_parameters& given, const std::string& last, bool by_time) {
  const auto unit = last.empty() ? '\0' : last.back();
  const auto number = last.substr(0, last.empty() ? 0 : last.size() - 1);
  const bool whole =
    !number.empty() && number.size() < 6 && number.find_first_not_of("0123456789") == number.npos;
  const auto count = whole ? std::stol(number) : 0;
  if (count < 1 || (unit != 'd' && unit != 'w' && unit != 'h'))
    throw failure{exit_status::usage, "--last: expected " + lengths_of(by_time)};
  if (unit == 'h' && !by_time)
    throw failure{exit_status::usage,
                  "--last: whole days are told here; expected " + lengths_of(by_time)};
  given.once["start"] = unit == 'h' ? "-" + number + "h"
                                    : "-" + std::to_string(count * (unit == 'w' ? 7 : 1) - 1) + "d";
  given.once["end"] = unit == 'h' ? "now" : "today";
}

/// From `today`, `--last` and the like to the parameters of the question.
void set_range(given_parameters& given, bool needed, bool by_time) {
  const bool in_words = !given.when.empty() || !given.last.empty();
  if (in_words && (given.has("start") || given.has("end")))
    throw failure{exit_status::usage, "--start and --end say which days; today, yesterday and "
                                      "--last do so as well"};
  if (!given.when.empty() && !given.last.empty())
    throw failure{exit_status::usage, "either today or yesterday, or --last"};
  if (!given.last.empty())
    set_last(given, given.last, by_time);
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

/// Whether it takes times as well as days.
bool is_by_time(const endpoint& asked) {
  return std::any_of(asked.parameters.begin(), asked.parameters.end(),
                     [](const auto& row) { return row.type == parameter_type::moment; });
}

/// The parts of a text between `separator`s; none is empty.
std::vector<std::string> parts_of(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    auto part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (!part.empty())
      out.emplace_back(part);
  }
  return out;
}

/// The value of a parameter in a query string; empty: it is not there.
std::string value_in(std::string_view query_string, std::string_view name) {
  for (const auto& pair : parts_of(query_string, '&'))
    if (pair.starts_with(std::string{name} + "="))
      return pair.substr(name.size() + 1);
  return {};
}

/// "a, b" of "a b".
std::string listed(std::string_view words) {
  std::string out;
  for (const auto& word : parts_of(words, ' '))
    out += (out.empty() ? "" : ", ") + word;
  return out;
}

/// Only those of a shortcut may be asked for, and all of them are no more than these.
void check_metrics(given_parameters& given, std::string_view metrics) {
  auto& asked = given.once["metrics"];
  if (!asked)
    return;
  const auto known = parts_of(metrics, ' ');
  std::replace_if(
    asked->begin(), asked->end(), [](char c) { return c == ';' || c == ' '; }, ',');
  for (const auto& word : parts_of(*asked, ','))
    if (word != "all" && std::find(known.begin(), known.end(), word) == known.end())
      throw failure{exit_status::usage, "--metrics: " + word + " is not told here; there are "
                                          + listed(metrics) + ", all"};
  if (asked == "all")
    asked = listed(metrics);
}

void run_stats(const command_context& context, const endpoint& asked, std::string_view command,
               given_parameters given, const endpoint_shortcut* shortcut = nullptr) {
  set_range(given, needs_range(asked), is_by_time(asked));
  if (shortcut)
    check_metrics(given, shortcut->metrics);
  auto query = given.query_string();
  if (shortcut) {
    query += "&" + std::string{shortcut->fixed};
    for (const auto& pair : parts_of(shortcut->parameters, '&'))
      if (!given.has(std::string_view{pair}.substr(0, pair.find('='))))
        query += "&" + pair;
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
    case parameter_type::range: return "RANGE";
    case parameter_type::text: break;
  }
  return "TEXT";
}

/// `otherwise`: what it is when it is not given; empty: as the help says.
std::string help_of(const endpoint_parameter& row, const std::string& otherwise,
                    std::string_view words) {
  std::string out{row.help};
  if (!otherwise.empty())
    out = out.substr(0, out.find(';')) + "; " + otherwise + " unless given";
  if (!words.empty())
    out += ": " + std::string{words} + (row.type == parameter_type::words ? " all" : "");
  return out;
}

/// A command from its row in the table: an option for each parameter. `shortcut`: null, or what it
/// is of that endpoint.
CLI::App* add_endpoint_command(CLI::App& stats, const endpoint& asked, std::string_view command,
                               std::string_view help, given_parameters& given,
                               const endpoint_shortcut* shortcut = nullptr) {
  auto* added = stats.add_subcommand(std::string{command}, std::string{help});
  for (const auto& row : asked.parameters) {
    if (row.name == "format")
      continue; // what is asked here is shown here, or --json
    if (shortcut && !value_in(shortcut->fixed, row.name).empty())
      continue;
    std::string name{row.name};
    auto otherwise = shortcut ? value_in(shortcut->parameters, name) : std::string{};
    auto about =
      help_of(row, otherwise, shortcut && name == "metrics" ? shortcut->metrics : row.words);
    auto* option =
      row.repeatable
        ? added->add_option("--" + name, given.repeated[name], about)->allow_extra_args(false)
        : added->add_option("--" + name, given.once[name], about);
    option->type_name(type_name(row.type));
  }
  added->add_option("--last", given.last, "The last " + lengths_of(is_by_time(asked)))
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
    add_endpoint_command(*stats, asked, shortcut.command, shortcut.help, *given, &shortcut)
      ->callback([&context, &asked, &shortcut, given] {
        run_stats(context, asked, shortcut.command, *given, &shortcut);
      });
  }
}

} // namespace phi::ctl
