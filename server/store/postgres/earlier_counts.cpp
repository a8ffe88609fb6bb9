#include "server/store/postgres/earlier_counts.hpp"

#include "protocol/fault_point.hpp"
#include "server/statistics/cube_builder.hpp"
#include "server/statistics/cube_format.hpp"
#include "server/store/postgres/cube_rows.hpp"
#include "server/store/postgres/cube_statements.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

namespace phi::store {
namespace {

using namespace postgres_sql;
using namespace statistics;

constexpr int64_t day_us = slot_us * slots_per_day;

/// A cube of a day that is put together by hand; `cube_builder` makes a proper one of it.
class raw_cube {
public:
  explicit raw_cube(int32_t day) {
    made_.day = day;
    for (size_t i = 0; i < dimensions; ++i)
      texts_.emplace_back(std::numeric_limits<size_t>::max() - 1);
  }

  uint32_t text(dimension kind, const std::string& value) {
    bool beyond = false;
    return texts_[static_cast<size_t>(kind)].number_of(value, beyond);
  }
  uint8_t slot(int64_t slot) const {
    return static_cast<uint8_t>(slot - int64_t{made_.day} * slots_per_day);
  }
  void add(const combination& key, int64_t at, const count_sums& sums) {
    auto number = combinations_.number_of(key);
    made_.cells.push_back({number, slot(at), sums});
    if (number == made_.day_sums.size())
      made_.day_sums.emplace_back();
    made_.day_sums[number].add(sums);
  }
  void add(const timed_route& key, int64_t at, int64_t bucket, uint64_t n) {
    made_.slot_buckets.push_back(
      {timed_routes_.number_of(key), slot(at), static_cast<uint16_t>(bucket), n});
  }
  void add(const user_group& key, uint64_t person, const day_slots& active) {
    made_.users.push_back(
      {user_groups_.number_of(key), static_cast<uint32_t>(made_.persons.size()), active});
    made_.persons.push_back(person);
  }
  cube& parts() { return made_; }

  cube take() {
    for (size_t i = 0; i < dimensions; ++i)
      made_.texts[i] = texts_[i].take();
    made_.combinations = combinations_.take();
    made_.timed_routes = timed_routes_.take();
    made_.user_groups = user_groups_.take();
    cube_builder builder{made_.day};
    builder.add(made_);
    return builder.take();
  }

private:
  cube made_;
  std::vector<text_numbers> texts_;
  key_numbers<combination> combinations_;
  key_numbers<timed_route> timed_routes_;
  key_numbers<user_group> user_groups_;
};

uint64_t counted(const postgres_rows& row, int column) {
  return static_cast<uint64_t>(row.integer(column));
}

day_slots slots_at(const postgres_rows& row, int column) {
  return {.low = counted(row, column), .high = counted(row, column + 1)};
}

/// Slot, feature and class; the statuses of that class and how many of each are left.
using statuses_left =
  std::map<std::tuple<int64_t, std::string, int64_t>, std::vector<std::pair<int32_t, uint64_t>>>;

statuses_left read_statuses(postgres_connection& db, const std::vector<postgres_value>& slots) {
  statuses_left out;
  for (auto row = db.run(earlier_statuses, slots); row.step();)
    out[{row.integer(0), row.text(1), row.integer(2) / 100}].emplace_back(
      static_cast<int32_t>(row.integer(2)), counted(row, 3));
  return out;
}

/// Which of the extremes of what is dealt out have a place.
struct kept_extremes {
  bool least = false;
  bool most = false;
};

/// Takes the durations of `timed` events out of `all`, so that sum, least and most stay what they
/// were together. Of one event all three are the same: the first take the extremes, for others'
/// sums leave room for them; more than one have a fair share, rounded down, between both.
void take_durations(count_sums& all, uint64_t timed, kept_extremes& kept, count_sums& to) {
  to.timed = timed;
  if (timed == 0)
    return;
  to.min_us = all.min_us;
  to.max_us = all.max_us;
  if (timed == all.timed) {
    to.sum_us = all.sum_us;
  } else if (timed > 1 || (kept.most && kept.least)) {
    to.sum_us = all.sum_us * timed / all.timed;
    kept = {true, true};
  } else {
    auto& extreme = kept.most ? kept.least : kept.most;
    to.sum_us = static_cast<uint64_t>(kept.most ? all.min_us : all.max_us);
    extreme = true;
  }
  if (timed == 1)
    to.min_us = to.max_us = static_cast<int64_t>(to.sum_us);
  all.timed -= timed;
  all.sum_us -= to.sum_us;
}

/// Says that we are still at it: the server ends a transaction that is silent for longer than
/// `defaults::transaction_silence`, and a day may have millions of roll-ups.
void stay(postgres_connection& db) {
  db.run("SELECT 1");
}

template <class Use>
void each_roll_up(postgres_connection& db, const char* sql,
                  const std::vector<postgres_value>& values, Use use) {
  constexpr size_t most_in_silence = 1 << 16;
  size_t rows = 0;
  for (auto row = db.run(sql, values); row.step();) {
    use(row);
    if (++rows % most_in_silence == 0)
      stay(db);
  }
}

/// A roll-up knows the class of a status; which statuses there were, another table knows, by
/// feature. Nothing that can be asked tells them apart by more than that, so they are dealt out.
void add_counts(postgres_connection& db, const std::vector<postgres_value>& slots, raw_cube& to) {
  auto left = read_statuses(db, slots);
  each_roll_up(db, earlier_counts, slots, [&](const auto& row) {
    const auto slot = row.integer(0);
    combination key{.feature = to.text(dimension::feature, row.text(1)),
                    .action = to.text(dimension::action, row.text(2)),
                    .route = to.text(dimension::route, row.text(3)),
                    .method = to.text(dimension::method, row.text(4))};
    const auto status_class = row.integer(5);
    to.parts().spans.push_back({key.feature, to.slot(slot), row.integer(7), row.integer(8)});
    count_sums all{.n = counted(row, 6),
                   .timed = counted(row, 9),
                   .sum_us = (uint128{counted(row, 10)} << 32) + counted(row, 11),
                   .min_us = row.integer(12),
                   .max_us = row.integer(13)};
    kept_extremes kept;
    auto deal = [&](int32_t status, uint64_t n) {
      count_sums some{.n = n};
      take_durations(all, std::min(n, all.timed), kept, some);
      all.n -= n;
      key.status = status;
      to.add(key, slot, some);
    };
    for (auto& [status, n] : left[{slot, row.text(1), status_class}])
      if (auto some = std::min(n, all.n); some > 0) {
        n -= some;
        deal(status, some);
      }
    if (all.n > 0)
      deal(static_cast<int32_t>(status_class) * 100, all.n);
  });
}

void add_others(postgres_connection& db, const std::vector<postgres_value>& slots, raw_cube& to) {
  each_roll_up(db, earlier_latencies, slots, [&](const auto& row) {
    to.add(timed_route{to.text(dimension::feature, row.text(1)),
                       to.text(dimension::route, row.text(2)),
                       to.text(dimension::method, row.text(3))},
           row.integer(0), row.integer(4), counted(row, 5));
  });
  each_roll_up(db, earlier_instances, slots, [&](const auto& row) {
    to.parts().instances.push_back({to.text(dimension::feature, row.text(1)),
                                    to.text(dimension::instance, row.text(2)),
                                    to.slot(row.integer(0)), counted(row, 3)});
  });
}

void add_people(postgres_connection& db, int32_t day, raw_cube& to) {
  const std::vector days{postgres_value::number(day)};
  each_roll_up(db, earlier_users, days, [&](const auto& row) {
    to.add(user_group{to.text(dimension::feature, row.text(0)),
                      to.text(dimension::user_kind, row.text(2))},
           person_of(row.text(1)), slots_at(row, 3));
  });
  each_roll_up(db, earlier_addresses, days, [&](const auto& row) {
    to.parts().addresses.push_back({person_of(row.text(0)), slots_at(row, 1)});
  });
}

cube cube_of_rollups(postgres_connection& db, int32_t day) {
  raw_cube out{day};
  const std::vector slots{postgres_value::number(day * slots_per_day),
                          postgres_value::number((day + 1) * slots_per_day)};
  add_counts(db, slots, out);
  add_others(db, slots, out);
  add_people(db, day, out);
  return out.take();
}

/// What was written must read back as it was: the roll-ups go, and there is nothing else.
void check_written(postgres_connection& db, const listed_cube& written, const cube& whole) {
  std::string again;
  each_cube(db, {{.id = written.id}}, [&](const stored_cube& stored, std::string_view body) {
    again = write_cube(read_cube_of(stored.id, body, all_cube_parts));
  });
  if (again != write_cube(whole))
    throw damaged_day{whole.day};
}

/// Of a day that is in a cube now no row of that schema is to be counted.
void leave_out(postgres_connection& db, int32_t day) {
  const auto begin = postgres_value::number(day * day_us);
  const auto end = postgres_value::number((day + 1) * day_us);
  auto line = db.run(earlier_line_over, {begin, end});
  if (!line.step())
    return; // there is no row at all
  const auto id = postgres_value::number(line.integer(0));
  db.run(split_earlier_line, {id, postgres_value::number(line.integer(1)), begin});
  db.run(move_earlier_line, {id, end});
}

bool is_true(postgres_connection& db, const char* sql,
             const std::vector<postgres_value>& values = {}) {
  auto row = db.run(sql, values);
  return row.step() && row.text(0) == "t";
}

} // namespace

void prepare_rollups(postgres_connection& db) {
  for (auto row = db.run(earlier_partitions); row.step();) {
    const auto name = row.text(1); // event_20260131
    db.run("ALTER TABLE " + row.text(0) + " RENAME TO event_" + name.substr(6, 4) + "_"
           + name.substr(10, 2) + "_" + name.substr(12, 2));
  }
  db.run(add_earlier_rows);
  if (!is_true(db, no_earlier_counts))
    return;
  db.run(store_all_taken_over);
  db.run(drop_rollups);
}

bool rollups_are_to_be_taken_over(postgres_connection& db) {
  return is_true(db, takes_over);
}

taken_day take_over_day(postgres_connection& db, int64_t from_day, int64_t number) {
  auto row = db.run(next_earlier_day, {postgres_value::number(from_day)});
  if (!row.step() || row.null(0)) {
    db.run(store_all_taken_over);
    return {};
  }
  const auto day = static_cast<int32_t>(row.integer(0));
  taken_day out{.next = day + 1, .cube = {}};
  if (is_true(db, rows_are_missing,
              {postgres_value::number(day), postgres_value::number(day * day_us),
               postgres_value::number((day + 1) * day_us)})) {
    auto made = cube_of_rollups(db, day);
    out.cube = put_cube(db, number, 0, made);
    check_written(db, *out.cube, made);
    leave_out(db, day);
  }
  db.run(store_taken_over, {postgres_value::number(day + 1)});
  fault_point("cube.taken_over");
  return out;
}

bool drop_rollups_taken_over(postgres_connection& db) {
  if (!is_true(db, rollups_are_left))
    return false;
  db.run(drop_rollups);
  return true;
}

} // namespace phi::store
