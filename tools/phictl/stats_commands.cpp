#include "protocol/admin.hpp"
#include "tools/phictl/admin_client.hpp"
#include "tools/phictl/commands.hpp"
#include "tools/phictl/output.hpp"

#include <CLI/CLI.hpp>

#include <cctype>
#include <cstdio>
#include <cstring>
#include <iostream>
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

/// What was given is sent, also an empty text: the service says what is wrong with it.
struct stats_wishes {
  std::optional<std::string> start, end, zone, feature;
};

json ask_statistics(const context& with, const std::string& path, const stats_wishes& wishes,
                    const std::string& more = "") {
  std::string query = more;
  auto put = [&](const char* name, const std::optional<std::string>& value) {
    if (value)
      query += (query.empty() ? "" : "&") + std::string{name} + "=" + url_escape(*value);
  };
  put("start", wishes.start);
  put("end", wishes.end);
  put("timezone", wishes.zone);
  put("feature", wishes.feature);
  return ask(with, admin_wire::method_ask, {{"path", path}, {"query", query}}, 30s);
}

/// Rows with a bar for their count.
void print_bars(std::vector<std::vector<std::string>> rows, const std::vector<uint64_t>& counts) {
  uint64_t most = 1;
  for (auto count : counts)
    most = std::max(most, count);
  for (size_t i = 0; i < counts.size(); ++i)
    rows[i + 1].push_back(
      paint(colour::green, bar_of(static_cast<double>(counts[i]) / static_cast<double>(most), 30)));
  rows[0].push_back("");
  print_table(rows);
}

void stats_daily(const context& with, const stats_wishes& wishes) {
  auto answer = ask_statistics(with, "/stats/daily", wishes);
  if (with.json) {
    std::cout << answer.dump(2) << "\n";
    return;
  }
  std::map<std::string, std::pair<uint64_t, uint64_t>> days;
  for (const auto& row : answer) {
    auto& [count, errors] = days[row.value("date", "?")];
    count += row.value("count", uint64_t{0});
    errors += row.value("errCount", uint64_t{0});
  }
  std::vector<std::vector<std::string>> rows{{"DATE", "EVENTS", "ERRORS"}};
  std::vector<uint64_t> counts;
  for (const auto& [date, numbers] : days) {
    rows.push_back({date, group_digits(numbers.first), group_digits(numbers.second)});
    counts.push_back(numbers.first);
  }
  print_bars(std::move(rows), counts);
}

void stats_features(const context& with, const stats_wishes& wishes) {
  auto answer = ask_statistics(with, "/stats/daily/features", wishes);
  if (with.json) {
    std::cout << answer.dump(2) << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"DATE", "FEATURE", "EVENTS", "USERS"}};
  std::vector<uint64_t> counts;
  for (const auto& row : answer["rows"]) {
    counts.push_back(row.value("count", uint64_t{0}));
    rows.push_back({row.value("date", "?"), row["feature"].is_null() ? "-" : row["feature"],
                    group_digits(counts.back()),
                    group_digits(row.value("uniqueUsers", uint64_t{0}))});
  }
  print_bars(std::move(rows), counts);
}

void stats_latency(const context& with, const stats_wishes& wishes) {
  auto answer = ask_statistics(with, "/stats/summary", wishes, "include=latency");
  auto latency = answer.value("latency", json::object());
  if (with.json) {
    std::cout << latency.dump(2) << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"LATENCY", "MS"}};
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
        {head, latency[name].dump() + "  "
                 + paint(colour::green, bar_of(latency[name].get<double>() / most, 30))});
  std::cout << group_digits(latency.value("sampleCount", uint64_t{0})) << " timed events\n";
  print_table(rows);
}

void stats_summary(const context& with, const stats_wishes& wishes) {
  auto answer = ask_statistics(with, "/stats/summary", wishes);
  if (with.json) {
    std::cout << answer.dump(2) << "\n";
    return;
  }
  auto text = [&](const char* name) {
    return answer.contains(name) && answer[name].is_string() ? answer[name].get<std::string>()
                                                             : "-";
  };
  std::cout << "zone " << text("timezone") << ", first event " << text("firstEventAt") << ", last "
            << text("lastEventAt") << "\n";
  if (answer.contains("uniqueUsers"))
    std::cout << group_digits(answer["uniqueUsers"].value("total", uint64_t{0})) << " users\n";
  std::vector<std::vector<std::string>> rows{{"FEATURE", "EVENTS", "LAST"}};
  std::vector<uint64_t> counts;
  for (const auto& one : answer["features"]) {
    counts.push_back(one.value("count", uint64_t{0}));
    rows.push_back({one["feature"].is_null() ? "-" : one["feature"], group_digits(counts.back()),
                    one["lastAt"].is_string() ? one["lastAt"] : "-"});
  }
  print_bars(std::move(rows), counts);
}

} // namespace

void add_stats_commands(CLI::App& app, context& with) {
  auto* stats = app.add_subcommand("stats", "Ask what was counted");
  stats->require_subcommand(1);
  stats->footer("Example: phictl stats daily --start 2026-01-01 --end 2026-01-31");
  using value_printer = void (*)(const context&, const stats_wishes&);
  auto add = [&](const char* name, const char* what, value_printer show, bool needs_range) {
    auto wishes = std::make_shared<stats_wishes>();
    auto* command = stats->add_subcommand(name, what);
    auto* start = command->add_option("--start", wishes->start, "First day")->type_name("DATE");
    auto* end = command->add_option("--end", wishes->end, "Last day")->type_name("DATE");
    start->required(needs_range);
    end->required(needs_range);
    command->add_option("--timezone", wishes->zone, "IANA time zone")->type_name("ZONE");
    command->add_option("--feature", wishes->feature, "Only this feature");
    command->footer("Example: phictl stats " + std::string{name}
                    + (needs_range ? " --start 2026-01-01 --end 2026-01-31" : ""));
    command->callback([&with, wishes, show] { show(with, *wishes); });
  };
  add("daily", "Events and errors of each day", stats_daily, true);
  add("features", "Events and users of each day and feature", stats_features, true);
  add("latency", "How long the timed events took", stats_latency, false);
  add("summary", "Everything at a glance", stats_summary, false);
}

} // namespace phi::ctl
