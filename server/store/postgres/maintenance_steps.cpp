#include "server/store/postgres/maintenance_steps.hpp"

#include "actors/retention.hpp"
#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/cube_builder.hpp"
#include "server/store/postgres/cube_rows.hpp"
#include "server/store/postgres/cube_statements.hpp"
#include "server/store/postgres/lease.hpp"
#include "server/store/postgres/schema.hpp"
#include "server/store/postgres/statements.hpp"

#include <algorithm>
#include <array>
#include <utility>
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

/// How a day's rows and its cubes compare.
enum class compared : uint8_t { same, rows_are_more, rows_are_fewer, damaged };

std::vector<postgres_value> times_of(int32_t day) {
  return numbers({day * day_us, (day + 1) * day_us});
}

/// Within a transaction that has the lock of `counted`.
compared compare(postgres_connection& db, int32_t day, const std::vector<int64_t>& cubes) {
  std::array<uint64_t, 3> counted{}; // events, durations, statuses
  try {
    each_cube(db, cubes, [&](int64_t id, std::string_view body) {
      auto cube = read_cube_of(id, body, statistics::all_cube_parts);
      for (size_t i = 0; i < cube.combinations.size(); ++i) {
        if (cube.is_own(cube.combinations[i].feature))
          continue;
        counted[0] += cube.day_sums[i].n;
        counted[2] += cube.combinations[i].status != 0 ? cube.day_sums[i].n : 0;
      }
      for (const auto& row : cube.day_buckets)
        counted[1] += cube.is_own(cube.timed_routes[row.timed_route].feature) ? 0 : row.n;
    });
  } catch (const damaged_day&) {
    return compared::damaged;
  }
  auto rows = db.run(counts_of_day, times_of(day));
  rows.step();
  bool same = true;
  bool fewer = false;
  for (int i = 0; i < 3; ++i) {
    auto there = static_cast<uint64_t>(rows.integer(i));
    same &= there == counted[static_cast<size_t>(i)];
    fewer |= there < counted[static_cast<size_t>(i)];
  }
  return same ? compared::same : fewer ? compared::rows_are_fewer : compared::rows_are_more;
}

/// In place of all cubes of the day one that is made of its rows.
void make_again(postgres_connection& db, int32_t day, const std::vector<int64_t>& cubes,
                int64_t last_cube) {
  statistics::cube_builder builder{day};
  int64_t rows = 0;
  each_row_of(db, counted_rows_of_day, times_of(day), [&](const auto& e) {
    ++rows;
    builder.add(e);
  });
  remove_cubes(db, cubes);
  if (rows > 0)
    put_cube(db, last_cube + 1, 0, builder.take());
  set_last_cube(db, last_cube + 1);
  fault_point("cube.repaired");
}

/// Compares the cubes of a day with its rows, and makes them again where these are more, or where
/// they are damaged. Nobody else counts meanwhile; events are written.
compared compare_and_repair(postgres_connection& db, int32_t day) {
  return in_transaction(db, [&] {
    auto last_cube = lock_counted(db);
    auto cubes = cubes_of_days(db, day, day);
    auto found = compare(db, day, cubes);
    if (found == compared::rows_are_more || found == compared::damaged)
      make_again(db, day, cubes, last_cube);
    return found;
  });
}

/// Of a day whose rows are gone: what is damaged is lost, and the rest counts. How many were.
size_t keep_readable(postgres_connection& db, int32_t day) {
  return in_transaction(db, [&] {
    auto last_cube = lock_counted(db);
    std::vector<int64_t> lost;
    each_cube(db, cubes_of_days(db, day, day), [&](int64_t id, std::string_view body) {
      try {
        read_cube_of(id, body, statistics::all_cube_parts);
      } catch (const damaged_day&) {
        lost.push_back(id);
      }
    });
    if (!lost.empty()) {
      remove_cubes(db, lost);
      set_last_cube(db, last_cube + 1);
    }
    return lost.size();
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
  waits_for_counts_ = false;
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
  for (auto day : std::exchange(damaged_, {}))
    attempt([&] { return day >= first_kept ? repair(db, day) : keep_what_is_left(db, day); });
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

/// One day a step. Its counts stay.
std::string maintenance_steps::retire_old_days(postgres_connection& db, int32_t first_kept) {
  for (auto day : partition_days(db)) {
    if (day >= first_kept)
      continue;
    // The archive goes here: a day is written, read back and compared before its rows go.
    bool gone = in_transaction(db, [&] {
      db.run(lock_schema);
      db.run("LOCK TABLE ONLY event IN ACCESS EXCLUSIVE MODE"); // as to drop it takes
      auto uncounted = db.run(uncounted_before, numbers({(day + 1) * day_us}));
      uncounted.step();
      if (uncounted.text(0) == "t")
        return false; // first they are counted
      db.run("DROP TABLE " + partition_of(day));
      return true;
    });
    if (!gone) {
      waits_for_counts_ = true;
      continue;
    }
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

std::string maintenance_steps::keep_what_is_left(postgres_connection& db, int32_t day) {
  if (auto lost = keep_readable(db, day); lost > 0)
    warning_ = "counts of " + format_date(day) + " are damaged and lost, since its rows are gone: "
               + std::to_string(lost) + " cubes";
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
  return repair(db, day);
}

std::string maintenance_steps::repair(postgres_connection& db, int32_t day) {
  auto found = compare_and_repair(db, day);
  if (found == compared::rows_are_fewer) {
    // They may have been deleted: what was counted once is not made less.
    if (fewer_.insert(day).second)
      warning_ = "there are fewer rows of " + format_date(day)
                 + " than its counts say; the counts are kept: see phictl verify";
    return {};
  }
  fewer_.erase(day);
  return found == compared::same ? ""
                                 : "made the counts of " + format_date(day) + " again"
                                     + (found == compared::damaged ? ": they were damaged" : "");
}

} // namespace phi::store
