#include "server/store/inspection.hpp"

#include "config/time_text.hpp"
#include "server/store/statements.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <filesystem>
#include <stdexcept>

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

int64_t number(database& db, std::string_view sql) {
  statement ask{db, sql};
  return ask.step() ? ask.integer(0) : 0;
}

json shown(const statement& row) {
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

json recent_events(database& db, const query& what) {
  auto end = number(db, "SELECT coalesce(max(seq), 0) FROM event");
  statement ask{db, what.after ? sql::events_after : sql::last_events};
  ask.bind(1, what.after.value_or(0)).bind(2, static_cast<int64_t>(what.top));
  what.feature ? ask.bind(3, std::string_view{*what.feature}) : ask.bind_null(3);
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

json verify(database& db) {
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

std::string check_file(const std::string& file) {
  database db;
  db.open(file, database::access::read_only);
  statement sound{db, "PRAGMA integrity_check(1)"};
  if (!sound.step() || sound.text(0) != "ok")
    throw std::runtime_error("the database is damaged: " + sound.text(0));
  auto schema = number(db, "PRAGMA user_version");
  return std::to_string(number(db, "SELECT count(*) FROM event")) + " events, schema "
         + std::to_string(schema);
}

json back_up(database& db, const std::string& to) {
  if (std::filesystem::exists(to))
    throw std::runtime_error(to + " is there already");
  try {
    statement copy{db, "VACUUM INTO ?1"};
    copy.bind(1, std::string_view{to});
    copy.execute();
    check_file(to);
    database check;
    check.open(to, database::access::read_only);
    return {{"file", to},
            {"bytes", std::filesystem::file_size(to)},
            {"events", number(check, "SELECT count(*) FROM event")}};
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(to, ignored);
    throw;
  }
}

} // namespace phi::store
