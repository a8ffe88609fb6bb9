#include "server/store/sqlite/cube_table.hpp"

#include "server/statistics/cube_format.hpp"
#include "server/store/sqlite/statements.hpp"

#include <limits>

namespace phi::store {
namespace {

int64_t first_id(int64_t day) {
  return cube_id(static_cast<int32_t>(day), 0);
}

} // namespace

cube_table::cube_table(sqlite_connection& db)
  : db_(db),
    get_mark_(db, sql::counted_mark),
    set_mark_(db, sql::set_counted_mark),
    all_(db, sql::all_cubes),
    ids_(db, sql::cubes_of_days),
    get_(db, sql::cube_body),
    put_(db, sql::add_cube),
    tail_(db, sql::counted_rows),
    dead_(db, "cube", sql::remove_cube) {}

counted_mark cube_table::mark() {
  reset_at_end reset{get_mark_};
  get_mark_.reset();
  if (!get_mark_.step())
    return {};
  return {.last_seq = get_mark_.integer(0), .last_cube = get_mark_.integer(1)};
}

void cube_table::set_mark(const counted_mark& mark) {
  set_mark_.bind(1, mark.last_seq).bind(2, mark.last_cube).execute();
}

std::vector<listed_cube> cube_table::all() {
  reset_at_end reset{all_};
  const auto dead = dead_.all();
  std::vector<listed_cube> out;
  while (all_.step())
    if (!dead.contains(all_.integer(0)))
      out.push_back({.id = all_.integer(0),
                     .level = all_.integer(1),
                     .last_seq = all_.integer(2),
                     .bytes = static_cast<uint64_t>(all_.integer(3))});
  return out;
}

int64_t cube_table::last_number() {
  statement last{db_, sql::last_number_of_cubes};
  return last.step() ? last.integer(0) : 0;
}

std::vector<int64_t> cube_table::ids(int64_t first, int64_t last, int64_t last_seq) {
  reset_at_end reset{ids_};
  constexpr int64_t any_day = std::numeric_limits<int32_t>::max();
  ids_.bind(1, first_id(std::max(first, -any_day)));
  ids_.bind(2, first_id(std::min(last, any_day - 1) + 1)).bind(3, last_seq);
  const auto dead = dead_.all();
  std::vector<int64_t> out;
  while (ids_.step())
    if (auto id = ids_.integer(0); !dead.contains(id))
      out.push_back(id);
  return out;
}

statistics::cube cube_table::read(int64_t id, statistics::cube_parts parts) {
  reset_at_end reset{get_};
  const auto day = listed_cube{.id = id}.day();
  if (dead_.is_lost(id))
    throw damaged_day{day};
  get_.bind(1, id);
  try {
    if (!get_.step())
      throw damaged_day{day};
    auto out = statistics::read_cube(get_.blob(0), parts);
    if (out.day != day)
      throw damaged_day{day};
    return out;
  } catch (const statistics::damaged_cube&) {
    throw damaged_day{day};
  } catch (const statistics::newer_cube& e) {
    throw newer_day{day, e};
  } catch (const sqlite_error& e) { // it lies on many pages, of which one is lost
    if (!is_corrupt(e))
      throw;
    dead_.note_lost(id);
    throw damaged_day{day};
  }
}

void cube_table::put(const listed_cube& cube, std::string_view body) {
  put_.bind(1, cube.id).bind(2, cube.level).bind(3, cube.last_seq);
  put_.bind_blob(4, body.data(), body.size()).execute();
}

void cube_table::remove(int64_t id) {
  dead_.remove(id);
}

statistics::counted_event counted_row(const statement& row) {
  return {.time_us = row.integer(1),
          .feature = row.blob(2),
          .action = row.blob(3),
          .route = row.blob(4),
          .method = row.blob(5),
          .user_kind = row.blob(9),
          .instance = row.blob(11),
          .status = static_cast<int32_t>(row.integer(6)),
          .duration_us = row.null(7) ? -1 : row.integer(7),
          .user = statistics::person_of(row.blob(8)),
          .address = statistics::person_of(row.blob(10))};
}

void cube_table::read_tail(int64_t after, int64_t up_to, int64_t limit,
                           statistics::cube_tail& into) {
  reset_at_end reset{tail_};
  tail_.bind(1, after).bind(2, up_to).bind(3, limit);
  while (tail_.step())
    into.add(tail_.integer(0), counted_row(tail_));
}

void cube_table::each_behind(int64_t after,
                             const std::function<void(const statistics::counted_event&)>& take) {
  constexpr int64_t no_limit = -1;
  reset_at_end reset{tail_};
  tail_.bind(1, after).bind(2, std::numeric_limits<int64_t>::max()).bind(3, no_limit);
  while (tail_.step())
    take(counted_row(tail_));
}

} // namespace phi::store
