#include "server/store/postgres/maintenance_steps.hpp"

#include "actors/retention.hpp"
#include "config/defaults.hpp"
#include "protocol/own_request.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/latency.hpp"
#include "server/statistics/slots.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/schema.hpp"
#include "server/store/postgres/statements.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace phi::store {
namespace {

using namespace postgres_sql;

constexpr int64_t day_us = statistics::slot_us * statistics::slots_per_day;

/// A transaction that gives up soon when somebody else holds a lock, so that nobody queues behind
/// it.
template <class Work>
auto in_transaction(postgres_connection& db, Work work) {
  begin_limited(db, defaults::maintenance_limit, defaults::maintenance_lock);
  try {
    auto out = work();
    db.commit();
    return out;
  } catch (const postgres_error& e) {
    db.recover(e);
    throw;
  }
}

std::vector<int32_t> partition_days(postgres_connection& db) {
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
  return numbers({day * day_us, (day + 1) * day_us, day * statistics::slots_per_day,
                  (day + 1) * statistics::slots_per_day});
}

/// How a day's rows and its roll-ups compare.
enum class compared : uint8_t { same, rows_are_more, rows_are_fewer };

compared compare(postgres_connection& db, int32_t day) {
  auto counts = db.run(counts_of_day, bounds_of(day));
  counts.step();
  bool same = true;
  bool fewer = false;
  for (int i = 0; i < 3; ++i) {
    auto rows = counts.integer(i);
    auto counted = counts.integer(i + 3);
    same &= rows == counted;
    fewer |= rows < counted;
  }
  return same ? compared::same : fewer ? compared::rows_are_fewer : compared::rows_are_more;
}

/// Makes the roll-ups of a day again out of its rows, if these are more than was counted. Writers
/// wait meanwhile. Gives what was found while nobody wrote.
compared rebuild_rollups(postgres_connection& db, int32_t day) {
  const double log_gamma =
    std::log((1 + statistics::relative_error) / (1 - statistics::relative_error));
  auto from = std::to_string(day * day_us);
  auto to = std::to_string((day + 1) * day_us);
  auto all = " FROM event WHERE time_us >= " + from + " AND time_us < " + to;
  auto where = all + " AND action IS DISTINCT FROM '" PHI_OWN_REQUEST "'";
  auto slots = "slot >= " + std::to_string(day * statistics::slots_per_day) + " AND slot < "
               + std::to_string((day + 1) * statistics::slots_per_day);
  const std::string slot = "time_us / " + std::to_string(statistics::slot_us);
  auto text = [](const char* name) { return "coalesce(" + std::string{name} + ", '')"; };
  auto bits = [&](int low, int high) {
    auto in_day = "(" + slot + " - " + std::to_string(day * statistics::slots_per_day) + ")::int";
    return "coalesce(bit_or(CASE WHEN " + in_day + " >= " + std::to_string(low) + " AND " + in_day
           + " < " + std::to_string(high) + " THEN 1::int8 << (" + in_day + " - "
           + std::to_string(low) + ") ELSE 0 END), 0)";
  };
  auto whole_day = std::to_string(day);
  return in_transaction(db, [&] {
    db.run("LOCK TABLE event IN SHARE MODE");
    if (auto found = compare(db, day); found != compared::rows_are_more)
      return found;
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
        " min(time_us), max(time_us), count(duration_us), least(coalesce(sum(duration_us), 0), "
        "9223372036854775807),"
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
    db.run("INSERT INTO rollup_address (day, address_hash, writer, slots_low, slots_high)"
           " SELECT "
           + whole_day + ", address_hash, '', " + bits(0, 64) + ", " + bits(64, 96) + all
           + " AND address_hash IS NOT NULL GROUP BY 1, 2");
    return compared::rows_are_more;
  });
}

/// Where the first day of rows stands now, after at most one move.
int32_t move_first_day(postgres_connection& db, int64_t now, int64_t keep_days) {
  return in_transaction(db, [&] {
    db.run(lock_schema);
    kept_rows was;
    for (auto rows = db.run(retention); rows.step();) {
      constexpr int64_t never = -1'000'000;
      auto name = rows.text(0);
      auto number = rows.integer(1);
      if (name == "keep_days")
        was.keep_days = number;
      else if (name == "moved_at_us")
        was.moved_at_us = number;
      else if (number > never)
        was.from_day = number;
    }
    auto next = next_kept_rows(was, now, keep_days, defaults::retention_pause);
    if (next != was)
      db.run(set_retention, numbers({*next.from_day, *next.keep_days, next.moved_at_us}));
    return static_cast<int32_t>(*next.from_day);
  });
}

} // namespace

maintenance_port::done maintenance_steps::next(postgres_connection& db, int64_t keep_days) {
  maintenance_port::done out;
  warning_.clear();
  auto now = database_now_us(db);
  auto today = static_cast<int32_t>(statistics::day_of_slot(statistics::slot_of(now)));
  auto attempt = [&](auto duty) {
    try {
      auto did = duty();
      if (!did.empty())
        out.did += (out.did.empty() ? "" : "; ") + did;
      return !did.empty();
    } catch (const postgres_error& e) {
      if (!db.is_open())
        throw;
      out.ended = outcome::failure(e.what());
      return false;
    }
  };
  attempt([&] { return make_room_ahead(db, today); });
  auto first_kept = move_first_day(db, now, keep_days);
  attempt([&] { return retire_old_days(db, first_kept); })
    || attempt([&] { return prune(db, first_kept); });
  attempt([&] { return repair_one_day(db, first_kept, today); });
  out.warning = warning_;
  return out;
}

std::string maintenance_steps::make_room_ahead(postgres_connection& db, int32_t today) {
  auto there = partition_days(db);
  std::set<int32_t> days{there.begin(), there.end()};
  bool all = true;
  for (auto day = today - 1; day <= today + days_ahead; ++day)
    all &= days.contains(day);
  if (all)
    return {};
  auto made = in_transaction(db, [&] {
    db.run(lock_schema);
    return make_partitions(db, today - 1, today + days_ahead);
  });
  return made > 0 ? "made " + std::to_string(made) + " partitions" : "";
}

/// One day a step. Its roll-ups stay.
std::string maintenance_steps::retire_old_days(postgres_connection& db, int32_t first_kept) {
  for (auto day : partition_days(db)) {
    if (day >= first_kept)
      continue;
    // The archive goes here: a day is written, read back and compared before its rows go.
    in_transaction(db, [&] {
      db.run(lock_schema);
      return db.run("DROP TABLE " + partition_of(day));
    });
    return "dropped the rows of " + format_date(day);
  }
  return {};
}

std::string maintenance_steps::prune(postgres_connection& db, int32_t first_kept) {
  struct {
    const char* sql;
    int64_t before;
    const char* kind;
  } const list[] = {{prune_other_events, first_kept * day_us, "events"},
                    {prune_identities, first_kept, "identities"},
                    {prune_batches, defaults::batch_outcome_days, "outcomes of batches"}};
  for (const auto& old : list) {
    auto gone = in_transaction(db, [&] {
      return db.run(old.sql, numbers({old.before, defaults::prune_rows})).changed();
    });
    if (gone > 0)
      return "deleted " + std::to_string(gone) + " old " + old.kind;
  }
  return {};
}

/// The days go round and round, the newest first.
std::string maintenance_steps::repair_one_day(postgres_connection& db, int32_t first,
                                              int32_t last) {
  auto days = partition_days(db);
  std::erase_if(days, [&](int32_t day) { return day < first || day > last; });
  if (days.empty())
    return {};
  auto next = std::find_if(days.rbegin(), days.rend(),
                           [&](int32_t day) { return checked_day_ == 0 || day < checked_day_; });
  auto day = checked_day_ = next == days.rend() ? days.back() : *next;
  auto found = in_transaction(db, [&] { return compare(db, day); });
  if (found == compared::rows_are_more)
    found = rebuild_rollups(db, day); // nobody writes while that looks once more
  if (found == compared::rows_are_fewer) {
    // They may have been deleted: what was counted once is not made less.
    if (fewer_.insert(day).second)
      warning_ = "there are fewer rows of " + format_date(day)
                 + " than its counts say; the counts are kept: see phictl verify";
    return {};
  }
  fewer_.erase(day);
  return found == compared::same ? "" : "made the roll-ups of " + format_date(day) + " again";
}

} // namespace phi::store
