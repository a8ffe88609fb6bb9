#include "server/store/postgres_maintenance.hpp"

#include "config/defaults.hpp"
#include "config/time_text.hpp"
#include "protocol/own_request.hpp"
#include "server/store/postgres_schema.hpp"
#include "server/store/postgres_statements.hpp"
#include "server/store/rollup.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace phi::store {
namespace {

using namespace postgres_sql;

constexpr int64_t day_us = slot_us * slots_per_day;

/// A transaction that gives up soon when somebody else holds a lock, so that nobody queues behind
/// it.
template <class What>
auto in_transaction(postgres& db, What what) {
  db.run("BEGIN");
  try {
    db.run("SET LOCAL lock_timeout = 1000");
    db.run(lock_schema);
    auto out = what();
    db.run("COMMIT");
    return out;
  } catch (...) {
    if (db.in_transaction())
      db.run("ROLLBACK");
    throw;
  }
}

std::vector<int32_t> partition_days(postgres& db) {
  std::vector<int32_t> out;
  for (auto rows = db.run(partitions); rows.step();) {
    auto name = rows.text(0); // event_20260131
    auto day = parse_date(name.substr(6, 4) + "-" + name.substr(10, 2) + "-" + name.substr(12, 2));
    if (day)
      out.push_back(*day);
  }
  return out;
}

std::vector<postgres_value> numbers(std::initializer_list<int64_t> list) {
  std::vector<postgres_value> out;
  for (auto n : list)
    out.push_back(postgres_value::number(n));
  return out;
}

/// A text that reads back as the same number: an event must come into the same bucket here and
/// there.
std::string exactly(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

/// The whole of a day in slots and times.
std::vector<postgres_value> bounds_of(int32_t day) {
  return numbers(
    {day * day_us, (day + 1) * day_us, day * slots_per_day, (day + 1) * slots_per_day});
}

} // namespace

std::string postgres_maintenance::step(postgres& db, int64_t now_us, int64_t keep_days) {
  auto today = static_cast<int32_t>(day_of_slot(slot_of(now_us)));
  auto first_kept = today - static_cast<int32_t>(keep_days);
  if (auto did = make_room_ahead(db, today); !did.empty())
    return did;
  if (auto did = retire_old_days(db, first_kept); !did.empty())
    return did;
  if (auto did = prune(db, first_kept); !did.empty())
    return did;
  return repair_one_day(db, today);
}

std::string postgres_maintenance::make_room_ahead(postgres& db, int32_t today) {
  auto made =
    in_transaction(db, [&] { return make_partitions(db, today - 1, today + days_ahead); });
  return made > 0 ? "made " + std::to_string(made) + " partitions" : "";
}

/// One day a step. Its roll-ups stay.
std::string postgres_maintenance::retire_old_days(postgres& db, int32_t first_kept) {
  db.run(set_raw_from_day, numbers({first_kept}));
  for (auto day : partition_days(db)) {
    if (day >= first_kept)
      continue;
    // The archive goes here: a day is written, read back and compared before its rows go.
    in_transaction(db, [&] { return db.run("DROP TABLE " + partition_of(day)); });
    return "dropped the rows of " + format_date(day);
  }
  return {};
}

std::string postgres_maintenance::prune(postgres& db, int32_t first_kept) {
  struct {
    const char* sql;
    int64_t before;
    const char* what;
  } const list[] = {{prune_other_events, first_kept * day_us, "events"},
                    {prune_identities, first_kept, "identities"},
                    {prune_batches, defaults::batch_outcome_days, "outcomes of batches"}};
  for (const auto& [sql, before, what] : list)
    if (auto gone = db.run(sql, numbers({before, defaults::prune_rows})).changed(); gone > 0)
      return "deleted " + std::to_string(gone) + " old " + what;
  return {};
}

/// The days go round and round, the newest first.
std::string postgres_maintenance::repair_one_day(postgres& db, int32_t today) {
  auto days = partition_days(db);
  std::erase_if(days, [&](int32_t day) { return day > today; });
  if (days.empty())
    return {};
  auto next = std::find_if(days.rbegin(), days.rend(),
                           [&](int32_t day) { return checked_day_ == 0 || day < checked_day_; });
  auto day = checked_day_ = next == days.rend() ? days.back() : *next;
  auto agrees = db.run(day_agrees, bounds_of(day));
  agrees.step();
  if (agrees.text(0) == "t")
    return {};
  rebuild_rollups(db, day);
  return "made the roll-ups of " + format_date(day) + " again";
}

void rebuild_rollups(postgres& db, int32_t day) {
  const double log_gamma = std::log((1 + relative_error) / (1 - relative_error));
  auto from = std::to_string(day * day_us);
  auto to = std::to_string((day + 1) * day_us);
  auto all = " FROM event WHERE time_us >= " + from + " AND time_us < " + to;
  auto where = all + " AND action IS DISTINCT FROM '" PHI_OWN_REQUEST "'";
  auto slots = "slot >= " + std::to_string(day * slots_per_day) + " AND slot < "
               + std::to_string((day + 1) * slots_per_day);
  const std::string slot = "time_us / " + std::to_string(slot_us);
  auto text = [](const char* name) { return "coalesce(" + std::string{name} + ", '')"; };
  auto bits = [&](int low, int high) {
    auto in_day = "(" + slot + " - " + std::to_string(day * slots_per_day) + ")::int";
    return "coalesce(bit_or(CASE WHEN " + in_day + " >= " + std::to_string(low) + " AND " + in_day
           + " < " + std::to_string(high) + " THEN 1::int8 << (" + in_day + " - "
           + std::to_string(low) + ") ELSE 0 END), 0)";
  };
  auto whole_day = std::to_string(day);
  in_transaction(db, [&] {
    db.run("LOCK TABLE event IN SHARE MODE");
    for (const char* table : {"rollup_count", "rollup_status", "rollup_instance", "rollup_latency"})
      db.run(std::string{"DELETE FROM "} + table + " WHERE " + slots);
    for (const char* table : {"rollup_user", "rollup_address"})
      db.run(std::string{"DELETE FROM "} + table + " WHERE day = " + whole_day);
    db.run(
      "INSERT INTO rollup_count (slot, feature, action, route, method, class, writer, n, errors,"
      " first_us, last_us, timed, sum_us, min_us, max_us) SELECT "
      + slot + ", " + text("feature") + ", " + text("action") + ", " + text("route") + ", "
      + text("method")
      + ", coalesce(status, 0) / 100, '', count(*), count(*) FILTER (WHERE status >= 400),"
        " min(time_us), max(time_us), count(duration_us), coalesce(sum(duration_us), 0),"
        " min(duration_us), max(duration_us)"
      + where + " GROUP BY 1, 2, 3, 4, 5, 6");
    db.run("INSERT INTO rollup_status (slot, feature, status, writer, n) SELECT " + slot + ", "
           + text("feature") + ", status, '', count(*)" + where
           + " AND status IS NOT NULL GROUP BY 1, 2, 3");
    db.run("INSERT INTO rollup_instance (slot, feature, instance, writer, n) SELECT " + slot + ", "
           + text("feature") + ", instance, '', count(*)" + where
           + " AND instance IS NOT NULL GROUP BY 1, 2, 3");
    db.run("INSERT INTO rollup_latency (slot, feature, route, method, bucket, writer, n) SELECT "
           + slot + ", " + text("feature") + ", " + text("route") + ", " + text("method")
           + ", CASE WHEN duration_us <= 1 THEN 0 ELSE ceil(ln(duration_us::float8) / "
           + exactly(log_gamma) + "::float8)::int8 END, '', count(*)" + where
           + " AND duration_us IS NOT NULL GROUP BY 1, 2, 3, 4, 5");
    db.run("INSERT INTO rollup_user (day, feature, user_hash, user_kind, writer, slots_low,"
           " slots_high) SELECT "
           + whole_day + ", " + text("feature") + ", user_hash, " + text("user_kind") + ", '', "
           + bits(0, 64) + ", " + bits(64, 96) + where
           + " AND user_hash IS NOT NULL GROUP BY 1, 2, 3, 4");
    return db.run("INSERT INTO rollup_address (day, address_hash, writer, slots_low, slots_high)"
                  " SELECT "
                  + whole_day + ", address_hash, '', " + bits(0, 64) + ", " + bits(64, 96) + all
                  + " AND address_hash IS NOT NULL GROUP BY 1, 2");
  });
}

} // namespace phi::store
