#include "server/store/postgres/cube_rows.hpp"

#include "server/platform/digest.hpp"
#include "server/statistics/cube_format.hpp"
#include "server/store/postgres/cube_statements.hpp"

#include <algorithm>
#include <limits>

namespace phi::store {
namespace {

using namespace postgres_sql;

/// Rows of one answer, some hundred bytes each.
constexpr int rows_at_once = 4096;
/// Bodies of one answer: bytes, and how many.
constexpr uint64_t bytes_at_once = 4 << 20;
constexpr size_t cubes_at_once = 256;
/// Lines further apart are read apart.
constexpr int64_t wide_gap = 20'000;

postgres_value numbers_of(const std::vector<int64_t>& all) {
  postgres_array out{postgres_array::element::int8};
  for (auto number : all)
    out.add(number);
  return out.take();
}

int64_t number_or(const postgres_rows& row, int column, int64_t otherwise) {
  return row.null(column) ? otherwise : row.binary_integer(column);
}

statistics::counted_event counted_row(const postgres_rows& row) {
  return {.time_us = row.binary_integer(0),
          .feature = row.bytes(1),
          .action = row.bytes(2),
          .route = row.bytes(3),
          .method = row.bytes(4),
          .user_kind = row.bytes(8),
          .instance = row.bytes(10),
          .status = static_cast<int32_t>(number_or(row, 5, 0)),
          .duration_us = number_or(row, 6, -1),
          .user = statistics::person_of(row.bytes(7)),
          .address = statistics::person_of(row.bytes(9))};
}

/// Lines of transactions that are near each other, by one statement.
void each_row_near(postgres_connection& db, const std::vector<uncounted_rows>& lines,
                   const take_row& take) {
  auto bounds = lines.front();
  std::vector<int64_t> txs, firsts, lasts;
  for (const auto& line : lines) {
    bounds.last_seq = std::max(bounds.last_seq, line.last_seq);
    bounds.first_us = std::min(bounds.first_us, line.first_us);
    bounds.last_us = std::max(bounds.last_us, line.last_us);
    txs.push_back(line.tx.value_or(0));
    firsts.push_back(line.first_seq);
    lasts.push_back(line.last_seq);
  }
  std::vector values{
    postgres_value::number(bounds.first_seq), postgres_value::number(bounds.last_seq),
    postgres_value::number(bounds.first_us), postgres_value::number(bounds.last_us)};
  if (!bounds.tx)
    return each_row_of(db, rows_without_transaction, values, take);
  for (const auto* column : {&txs, &firsts, &lasts})
    values.push_back(numbers_of(*column));
  each_row_of(db, rows_of_transactions, values, take);
}

} // namespace

std::vector<uncounted_rows> uncounted_of(postgres_rows row) {
  std::vector<uncounted_rows> out;
  while (row.step())
    out.push_back({.id = row.binary_integer(0),
                   .tx = row.null(1) ? std::nullopt : std::optional{row.binary_integer(1)},
                   .first_seq = row.binary_integer(2),
                   .last_seq = row.binary_integer(3),
                   .first_us = row.binary_integer(4),
                   .last_us = row.binary_integer(5),
                   .events = row.binary_integer(6)});
  return out;
}

std::vector<uncounted_rows> read_uncounted(postgres_connection& db, const char* sql,
                                           const std::vector<postgres_value>& values) {
  return uncounted_of(db.run(sql, values, true));
}

void each_row(postgres_connection& db, std::vector<uncounted_rows> lines, const take_row& take) {
  std::sort(lines.begin(), lines.end(),
            [](const auto& a, const auto& b) { return a.first_seq < b.first_seq; });
  std::vector<uncounted_rows> near;
  int64_t reaches = 0;
  auto read = [&] {
    if (!near.empty())
      each_row_near(db, near, take);
    near.clear();
  };
  for (const auto& line : lines) {
    if (!line.tx) {
      each_row_near(db, {line}, take);
      continue;
    }
    if (!near.empty() && line.first_seq > reaches + wide_gap)
      read();
    reaches = near.empty() ? line.last_seq : std::max(reaches, line.last_seq);
    near.push_back(line);
  }
  read();
}

void each_row_of(postgres_connection& db, const char* sql,
                 const std::vector<postgres_value>& values, const take_row& take) {
  const auto fetch = "FETCH " + std::to_string(rows_at_once) + " FROM some_rows";
  // Thousands of lines against the rows of each: PostgreSQL takes a cursor for somebody who wants
  // few rows soon, and without statistics of a table that grows holds each row against each line.
  db.queue("SET LOCAL enable_nestloop = off");
  db.queue("DECLARE some_rows NO SCROLL CURSOR FOR " + std::string{sql}, values);
  db.queue("SET LOCAL enable_nestloop = on");
  db.queue(fetch, {}, true);
  auto rows = std::move(db.run_queued().back());
  while (true) {
    while (rows.step())
      take(counted_row(rows));
    if (rows.count() < rows_at_once)
      break;
    rows = db.run(fetch, {}, true);
  }
  db.run("CLOSE some_rows");
}

counted_state lock_counted(postgres_connection& db) {
  auto row = db.run(counted_for_update);
  if (!row.step())
    throw postgres_error{"the table counted is empty", {}};
  counted_state out;
  statistics::read_columns(row, out.last_cube, out.written_by, out.taken_over_to);
  return out;
}

void set_last_cube(postgres_connection& db, int64_t last) {
  db.run(store_last_cube, {postgres_value::number(last)});
}

std::vector<listed_cube> all_cubes(postgres_connection& db) {
  std::vector<listed_cube> out;
  for (auto row = db.run(list_cubes, {}, true); row.step();)
    out.push_back({.id = row.binary_integer(0),
                   .level = row.binary_integer(1),
                   .bytes = static_cast<uint64_t>(row.binary_integer(2))});
  return out;
}

std::vector<stored_cube> cubes_of_days(postgres_connection& db, int64_t first, int64_t last) {
  constexpr int64_t any_day = std::numeric_limits<int32_t>::max();
  auto begin = cube_id(static_cast<int32_t>(std::clamp(first, -any_day, any_day)), 0);
  auto end = cube_id(static_cast<int32_t>(std::clamp(last, -any_day, any_day - 1) + 1), 0);
  std::vector<stored_cube> out;
  for (auto row =
         db.run(cubes_of_range, {postgres_value::number(begin), postgres_value::number(end)}, true);
       row.step();)
    out.push_back({.id = row.binary_integer(0),
                   .stamp = row.binary_integer(1),
                   .events = row.binary_integer(2),
                   .bytes = static_cast<uint64_t>(row.binary_integer(3))});
  return out;
}

std::vector<std::vector<int64_t>> read_together(const std::vector<stored_cube>& cubes) {
  std::vector<std::vector<int64_t>> out;
  uint64_t bytes = 0;
  for (const auto& cube : cubes) {
    if (out.empty() || bytes + cube.bytes > bytes_at_once || out.back().size() == cubes_at_once) {
      out.emplace_back();
      bytes = 0;
    }
    out.back().push_back(cube.id);
    bytes += cube.bytes;
  }
  return out;
}

void each_cube(postgres_connection& db, std::vector<stored_cube> cubes,
               const std::function<void(const stored_cube&, std::string_view)>& take) {
  std::sort(cubes.begin(), cubes.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  auto cube = cubes.begin(); // in the order of their ids, as the rows come
  for (const auto& ids : read_together(cubes))
    for (auto row = db.run(cube_bodies, {numbers_of(ids)}, true); row.step();) {
      cube = std::find_if(cube, cubes.end(),
                          [&](const auto& listed) { return listed.id == row.binary_integer(0); });
      take(*cube, row.bytes(1));
    }
}

statistics::cube read_cube_of(int64_t id, std::string_view body, statistics::cube_parts parts) {
  const auto day = listed_cube{.id = id}.day();
  try {
    auto out = statistics::read_cube(body, parts);
    if (out.day == day)
      return out;
  } catch (const statistics::newer_cube& e) {
    throw newer_day{day, e};
  } catch (const statistics::damaged_cube&) {
  }
  throw damaged_day{day};
}

listed_cube put_cube(postgres_connection& db, int64_t number, int64_t level,
                     const statistics::cube& whole) {
  auto body = statistics::write_cube(whole);
  listed_cube out{.id = cube_id(whole.day, number), .level = level, .bytes = body.size()};
  int64_t events = 0;
  for (size_t i = 0; i < whole.combinations.size(); ++i)
    events +=
      whole.is_own(whole.combinations[i].feature) ? 0 : static_cast<int64_t>(whole.day_sums[i].n);
  db.run(add_cube, {postgres_value::number(out.id), postgres_value::number(level),
                    postgres_value::number(events),
                    postgres_value::number(static_cast<int64_t>(random_bits())),
                    postgres_value::bytes(std::move(body))});
  return out;
}

int64_t remove_cubes(postgres_connection& db, const std::vector<int64_t>& ids) {
  return db.run(delete_cubes, {numbers_of(ids)}).changed();
}

} // namespace phi::store
