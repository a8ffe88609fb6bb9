#include "server/store/postgres/repair.hpp"

#include "protocol/fault_point.hpp"
#include "server/statistics/cube_builder.hpp"
#include "server/store/postgres/cube_rows.hpp"
#include "server/store/postgres/cube_statements.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace phi::store {
namespace {

using namespace postgres_sql;
using verdict = checked_day::verdict;

std::vector<postgres_value> times_of(int32_t day) {
  constexpr int64_t day_us = statistics::slot_us * statistics::slots_per_day;
  return {postgres_value::number(day * day_us), postgres_value::number((day + 1) * day_us)};
}

struct day_counts {
  std::array<int64_t, 3> users{}; ///< their events, and how many have a duration, a status
  int64_t all = 0;                ///< events, those about our own requests too
};

struct cubes_of_day {
  day_counts sound{};            ///< what those say that can be read
  int64_t events = 0;            ///< of all that are there, as they were written
  std::vector<int64_t> all, bad; ///< ids
  bool newer = false;            ///< a newer version is to look at the day
};

cubes_of_day read_cubes(postgres_connection& db, int32_t day) {
  cubes_of_day out;
  const auto cubes = cubes_of_days(db, day, day);
  for (const auto& cube : cubes) {
    out.all.push_back(cube.id);
    out.events += cube.events;
  }
  each_cube(db, cubes, [&](const stored_cube& which, std::string_view body) {
    try {
      auto cube = read_cube_of(which.id, body, statistics::all_cube_parts);
      for (size_t i = 0; i < cube.combinations.size(); ++i) {
        auto n = static_cast<int64_t>(cube.day_sums[i].n);
        out.sound.all += n;
        if (cube.is_own(cube.combinations[i].feature))
          continue;
        out.sound.users[0] += n;
        out.sound.users[2] += cube.combinations[i].status != 0 ? n : 0;
      }
      for (const auto& row : cube.day_buckets)
        if (!cube.is_own(cube.timed_routes[row.timed_route].feature))
          out.sound.users[1] += static_cast<int64_t>(row.n);
    } catch (const damaged_day&) {
      out.bad.push_back(which.id);
    } catch (const newer_day&) {
      out.newer = true;
    }
  });
  return out;
}

day_counts count_rows(postgres_connection& db, int32_t day) {
  auto row = db.run(counts_of_day, times_of(day));
  row.step();
  return {{row.integer(0), row.integer(1), row.integer(2)}, row.integer(3)};
}

/// Of users alone: cubes of the first version say nothing of own requests.
verdict compare(const day_counts& rows, const day_counts& counted) {
  if (rows.users == counted.users)
    return verdict::same;
  for (size_t i = 0; i < rows.users.size(); ++i)
    if (rows.users[i] < counted.users[i])
      return verdict::rows_are_fewer;
  return verdict::made_again;
}

/// In place of all cubes of the day one that is made of its rows.
void make_again(postgres_connection& db, int32_t day, const std::vector<int64_t>& cubes,
                int64_t last_cube) {
  statistics::cube_builder builder{day};
  bool empty = true;
  each_row_of(db, counted_rows_of_day, times_of(day), [&](const auto& e) {
    empty = false;
    builder.add(e);
  });
  remove_cubes(db, cubes);
  if (!empty)
    put_cube(db, last_cube + 1, 0, builder.take());
  set_last_cube(db, last_cube + 1);
  fault_point("cube.repaired");
}

} // namespace

checked_day check_and_repair(postgres_connection& db, int32_t day) {
  const auto last_cube = lock_counted(db).last_cube;
  const auto cubes = read_cubes(db, day);
  if (cubes.newer)
    return {};
  const auto rows = count_rows(db, day);
  checked_day out{.found = compare(rows, cubes.sound), .damaged = cubes.bad.size()};
  if (!cubes.bad.empty()) {
    // Also of a day on which nobody but the service itself was counted.
    bool rows_are_all = rows.users[0] >= cubes.events && rows.all >= cubes.sound.all;
    bool rows_say_most = rows.users[0] > cubes.sound.users[0] || rows_are_all;
    out.found = rows_say_most ? verdict::made_again : verdict::kept_sound;
    out.lost = std::max<int64_t>(cubes.events - std::max(rows.users[0], cubes.sound.users[0]), 0);
  }
  if (out.found == verdict::made_again)
    make_again(db, day, cubes.all, last_cube);
  if (out.found == verdict::kept_sound) {
    remove_cubes(db, cubes.bad);
    set_last_cube(db, last_cube + 1); // whoever has a list of them makes it anew
  }
  return out;
}

} // namespace phi::store
