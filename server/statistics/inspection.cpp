#include "server/statistics/inspection.hpp"

#include "protocol/text/rfc3339.hpp"
#include "server/statistics/statements.hpp"

#include <nlohmann/json.hpp>

namespace phi::statistics {
namespace {

using json = nlohmann::ordered_json;

json shown(wide_number number) {
  auto whole = static_cast<int64_t>(number);
  return whole == number ? json(whole) : json(static_cast<double>(number));
}

json shown(const row_cursor& row) {
  int64_t seq = 0;
  int64_t time_us = 0;
  std::optional<std::string> feature, action, route, method, instance;
  std::optional<int64_t> status, duration_us;
  read_columns(row, seq, time_us, feature, action, route, method, status, duration_us, instance);
  json out{{"seq", seq}, {"time", format_rfc3339(time_us)}};
  auto add = [&](const char* name, const auto& value) {
    if (value)
      out[name] = *value;
  };
  add("feature", feature);
  add("action", action);
  add("route", route);
  add("method", method);
  add("status", status);
  if (duration_us)
    out["durationMs"] = static_cast<double>(*duration_us) / 1000;
  add("instance", instance);
  return out;
}

} // namespace

json recent_events(row_source& db, const recent_events_query& query) {
  const auto after = query.after.value_or(0);
  const auto newest = number(db, "SELECT coalesce(max(seq), 0) FROM event");
  auto end = newest;
  if (query.after && !query.over_gaps) {
    // Of several writers one can take its numbers first and commit last.
    auto& gap = db.ask(sql::first_gap, {after});
    if (gap.step() && !gap.null(0))
      end = gap.integer(0);
  }
  std::vector<parameter> values{after, static_cast<int64_t>(query.limit),
                                text_or_any(query.feature)};
  if (query.after)
    values.emplace_back(end);
  auto& ask = db.ask(query.after ? sql::events_after : sql::last_events, values);
  json events = json::array();
  auto last = after;
  while (ask.step()) {
    last = std::max(last, ask.integer(0));
    events.push_back(shown(ask));
  }
  // With fewer than asked for there is nothing more: go on behind everything that was looked at.
  if (events.size() < query.limit)
    last = std::max(last, end);
  return {{"events", std::move(events)}, {"last", last}, {"held", end < newest}};
}

json report(const std::vector<compared>& all) {
  json checks = json::array();
  bool good = true;
  for (const auto& check : all) {
    bool same = check.rows == check.derived;
    good &= same;
    checks.push_back({{"what", check.name},
                      {"rows", shown(check.rows)},
                      {"rollups", shown(check.derived)},
                      {"ok", same}});
    if (!check.days.empty())
      checks.back()["days"] = check.days;
  }
  return {{"checks", std::move(checks)}, {"ok", good}};
}

} // namespace phi::statistics
