#include "server/store/inspection.hpp"

#include "config/time_text.hpp"
#include "server/store/statements.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace phi::store {
namespace {

using json = nlohmann::ordered_json;

/// One thing that can be counted both in the rows and in the roll-ups.
struct comparison {
  std::string_view what;
  std::string_view rows;
  std::string_view rollups;
};

constexpr std::array comparisons{
  comparison{"events", "SELECT count(*) FROM event",
             "SELECT coalesce(sum(n), 0) FROM rollup_count"},
  comparison{"errors", "SELECT count(*) FROM event WHERE status >= 400",
             "SELECT coalesce(sum(errors), 0) FROM rollup_count"},
  comparison{"statuses", "SELECT count(status) FROM event",
             "SELECT coalesce(sum(n), 0) FROM rollup_status"},
  comparison{"instances", "SELECT count(instance) FROM event",
             "SELECT coalesce(sum(n), 0) FROM rollup_instance"},
  comparison{"durations", "SELECT count(duration_us) FROM event",
             "SELECT coalesce(sum(n), 0) FROM rollup_latency"},
  comparison{"microseconds", "SELECT coalesce(sum(duration_us), 0) FROM event",
             "SELECT coalesce(sum(sum_us), 0) FROM rollup_count"},
  comparison{"users", "SELECT count(DISTINCT user_hash) FROM event",
             "SELECT count(DISTINCT user_hash) FROM rollup_user"},
  comparison{"identities", "SELECT count(*) FROM event", "SELECT count(*) FROM identity"},
};

json shown(const row_cursor& row) {
  json out{{"seq", row.integer(0)}, {"time", format_rfc3339(row.integer(1))}};
  constexpr std::array names{"feature", "action", "route", "method"};
  for (size_t i = 0; i < names.size(); ++i)
    if (auto column = static_cast<int>(i) + 2; !row.null(column))
      out[names[i]] = row.text(column);
  if (!row.null(6))
    out["status"] = row.integer(6);
  if (!row.null(7))
    out["durationMs"] = static_cast<double>(row.integer(7)) / 1000;
  if (!row.null(8))
    out["instance"] = row.text(8);
  return out;
}

} // namespace

json recent_events(row_source& db, const query& what) {
  auto end = number(db, "SELECT coalesce(max(seq), 0) FROM event");
  auto& ask =
    db.ask(what.after ? sql::events_after : sql::last_events,
           {what.after.value_or(0), static_cast<int64_t>(what.top), text_or_any(what.feature)});
  json events = json::array();
  int64_t last = what.after.value_or(0);
  while (ask.step()) {
    last = std::max(last, ask.integer(0));
    events.push_back(shown(ask));
  }
  // With fewer than asked for there is nothing more: go on behind everything that was looked at.
  if (events.size() < what.top)
    last = std::max(last, end);
  return {{"events", std::move(events)}, {"last", last}};
}

json verify(row_source& db) {
  json checks = json::array();
  bool all = true;
  for (const auto& one : comparisons) {
    auto rows = number(db, one.rows);
    auto rollups = number(db, one.rollups);
    all &= rows == rollups;
    checks.push_back(
      {{"what", one.what}, {"rows", rows}, {"rollups", rollups}, {"ok", rows == rollups}});
  }
  return {{"checks", std::move(checks)}, {"ok", all}};
}

} // namespace phi::store
