#include "server/store/postgres/maintenance_steps.hpp"

#include "actors/retention.hpp"
#include "config/defaults.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/slots.hpp"
#include "server/store/postgres/cube_statements.hpp"
#include "server/store/postgres/earlier_counts.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/repair.hpp"
#include "server/store/postgres/schema.hpp"
#include "server/store/postgres/statements.hpp"

#include <algorithm>
#include <optional>
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
    auto date = rows.text(0).substr(6); // of event_2026_01_31
    std::replace(date.begin(), date.end(), '_', '-');
    if (auto day = parse_date(date))
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

/// Days that some cube counts.
std::set<int32_t> counted_days(postgres_connection& db) {
  std::set<int32_t> out;
  for (auto row = db.run(days_with_cubes); row.step();)
    out.insert(static_cast<int32_t>(row.integer(0)));
  return out;
}

/// Days that have rows.
std::set<int64_t> days_of_rows(postgres_connection& db) {
  std::set<int64_t> out;
  for (auto day : partition_days(db))
    if (auto row = db.run("SELECT FROM " + partition_of(day) + " LIMIT 1"); row.step())
      out.insert(day);
  for (auto row = db.run(days_of_other_events); row.step();)
    out.insert(row.integer(0));
  return out;
}

std::string joined(const std::string& first, const std::string& then) {
  return first + (first.empty() || then.empty() ? "" : "; ") + then;
}

bool has_uncounted(postgres_connection& db, int32_t up_to_day) {
  auto row = db.run(uncounted_before, numbers({(up_to_day + 1) * day_us}));
  return row.step() && row.text(0) == "t";
}

/// Where the first day of rows stands now, after at most one move.
int32_t move_first_day(postgres_connection& db, int64_t now, int64_t keep_days) {
  return in_transaction(db, [&] {
    db.run(lock_schema);
    kept_rows was;
    bool is_created = false;
    for (auto rows = db.run(retention); rows.step();) {
      constexpr int64_t never = -1'000'000;
      auto name = rows.text(0);
      auto number = rows.integer(1);
      if (name == "keep_days")
        was.keep_days = number;
      else if (name == "moved_at_us")
        was.moved_at_us = number;
      else if (name == "created_us")
        is_created = true;
      else if (number > never)
        was.from_day = number;
    }
    // At first there is no earlier move to hold the clock against, but there may be rows.
    auto next =
      was.from_day || is_created ? std::nullopt : first_kept_rows(days_of_rows(db), now, keep_days);
    if (!next)
      next = next_kept_rows(was, now, keep_days, defaults::retention_pause);
    if (*next != was)
      db.run(set_retention, numbers({*next->from_day, *next->keep_days, next->moved_at_us}));
    return static_cast<int32_t>(*next->from_day);
  });
}

} // namespace

maintenance_port::done maintenance_steps::next(postgres_connection& db, int64_t keep_days) {
  maintenance_port::done out;
  warning_.clear();
  waits_for_counts_ = false;
  auto now = database_now_us(db);
  auto today = static_cast<int32_t>(statistics::day_of_slot(statistics::slot_of(now)));
  auto attempt = [&](auto duty) {
    try {
      auto did = duty();
      out.did = joined(out.did, did);
      return !did.empty();
    } catch (const postgres_error& e) {
      if (!db.is_open())
        throw;
      out.ended = outcome::failure(e.what());
      return false;
    }
  };
  attempt([&] { return make_room_ahead(db, today); });
  attempt([&] {
    first_kept_ = move_first_day(db, now, keep_days);
    return std::string{};
  });
  // A day that cannot be retired holds up none of the others.
  bool retired = false;
  for (auto day : partition_days(db))
    retired = retired || attempt([&] { return retire(db, day); });
  retired || attempt([&] { return prune_other_rows(db); }) || attempt([&] { return prune(db); });
  attempt([&] { return repair_some_days(db, today); });
  for (auto day : std::set{damaged_})
    attempt([&] { return repair(db, day); });
  attempt([&] { return drop_rollups(db); });
  out.warning = warning_;
  attempt([&] {
    if (auto size = db.run(uncounted_bytes); size.step())
      out.uncounted_bytes = static_cast<uint64_t>(size.integer(0));
    return std::string{};
  });
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

/// Of a partition. Its counts stay, so they are put right before there is nothing to put them right
/// by.
std::string maintenance_steps::retire(postgres_connection& db, int32_t day) {
  if (!first_kept_ || day >= *first_kept_)
    return {};
  if (has_uncounted(db, day)) {
    waits_for_counts_ = true;
    return {}; // first they are counted
  }
  auto repaired = repair(db, day);
  // The archive goes here: a day is written, read back and compared before its rows go.
  bool gone = in_transaction(db, [&] {
    db.run(lock_schema);
    db.run("LOCK TABLE ONLY event IN ACCESS EXCLUSIVE MODE"); // as to drop it takes
    if (has_uncounted(db, day))
      return false;
    db.run("DROP TABLE " + partition_of(day));
    return true;
  });
  waits_for_counts_ |= !gone;
  return gone ? joined(repaired, "dropped the rows of " + format_date(day)) : repaired;
}

/// Rows that are in no partition of their day; a part of a day's.
std::string maintenance_steps::prune_other_rows(postgres_connection& db) {
  if (!first_kept_)
    return {};
  auto oldest = db.run(oldest_other_event, numbers({*first_kept_ * day_us}));
  if (!oldest.step()) {
    pruned_day_.reset(); // more may come to that day, and be counted
    return {};
  }
  auto day = static_cast<int32_t>(statistics::day_of_slot(statistics::slot_of(oldest.integer(0))));
  std::string repaired;
  if (pruned_day_ != day) // its first part
    repaired = repair(db, day);
  auto gone = in_transaction(db, [&] {
    return db
      .run(prune_other_events, numbers({day * day_us, (day + 1) * day_us, defaults::prune_rows}))
      .changed();
  });
  pruned_day_ = day;
  return joined(repaired, "deleted " + std::to_string(gone) + " old events");
}

std::string maintenance_steps::prune(postgres_connection& db) {
  if (!first_kept_)
    return {};
  struct {
    const char* sql;
    int64_t before;
    const char* kind;
  } const list[] = {{prune_identities, *first_kept_, "identities"},
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

std::string maintenance_steps::drop_rollups(postgres_connection& db) {
  return in_transaction(db, [&] { return drop_rollups_taken_over(db); })
           ? "dropped the roll-ups of an earlier version"
           : "";
}

/// The days go round and round, the newest first; those whose rows are gone are many and cost
/// little, so a step looks at some of them.
std::string maintenance_steps::repair_some_days(postgres_connection& db, int32_t today) {
  constexpr int most_days = 8;
  auto days = counted_days(db);
  for (auto day : partition_days(db))
    if (day <= today)
      days.insert(day);
  std::string out;
  for (int i = 0; i < most_days && !days.empty(); ++i) {
    auto next = checked_day_ ? days.lower_bound(*checked_day_) : days.end();
    if (next == days.begin())
      next = days.end();
    const auto day = *--next;
    checked_day_ = day; // also when it fails: the others have their turn
    out = joined(out, repair(db, day));
    if (!first_kept_ || day >= *first_kept_ || day == *days.begin())
      break;
  }
  return out;
}

void maintenance_steps::warn(const std::string& text) {
  warning_ = joined(warning_, text);
}

std::string maintenance_steps::repair(postgres_connection& db, int32_t day) {
  auto [found, damaged, lost] = in_transaction(db, [&] { return check_and_repair(db, day); });
  damaged_.erase(day);
  using verdict = checked_day::verdict;
  const auto date = format_date(day);
  if (lost > 0 || found == verdict::kept_sound)
    warn("of " + date + " " + std::to_string(damaged) + " cubes were damaged, and rows are gone: "
         + std::to_string(lost) + " events count no longer");
  if (found != verdict::rows_are_fewer)
    fewer_.erase(day);
  else if (first_kept_ && day >= *first_kept_
           && fewer_.insert(day).second) // they may have been deleted
    warn("there are fewer rows of " + date
         + " than its counts say; the counts are kept: see phictl verify");
  switch (found) {
    case verdict::made_again:
      return "made the counts of " + date + " again" + (damaged > 0 ? ": they were damaged" : "");
    case verdict::kept_sound: return "kept the counts of " + date + " that are sound";
    case verdict::same:
    case verdict::rows_are_fewer: break;
  }
  return {};
}

} // namespace phi::store
