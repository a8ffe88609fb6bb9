#include "server/store/postgres/cube_tally.hpp"

#include "actors/log.hpp"
#include "server/store/postgres/cube_statements.hpp"
#include "server/store/postgres/statements.hpp"

#include <algorithm>
#include <map>

namespace phi::store {
namespace {

using namespace postgres_sql;
using statistics::tally;
using statistics::wide_number;

/// Of cubes as they are read.
constexpr size_t most_kept_bytes = 12 << 20;
constexpr int64_t day_us = statistics::slot_us * statistics::slots_per_day;
constexpr int64_t last_slot = 100'000'000'000;

std::vector<postgres_value> times_of(int32_t day) {
  return {postgres_value::number(day * day_us), postgres_value::number((day + 1) * day_us)};
}

template <class Key>
wide_number total(const std::map<Key, uint64_t>& numbers) {
  wide_number out = 0;
  for (const auto& [key, n] : numbers)
    out += n;
  return out;
}

} // namespace

void cube_tally::forget() {
  kept_.clear();
  kept_bytes_ = 0;
}

/// What is damaged is read from the rows, until who has the maintenance comes to it; so is what a
/// newer version has counted.
void cube_tally::read(statistics::count_reader& builder) {
  read_lines();
  std::set<int32_t> unreadable;
  auto read_rows_of = [&](int32_t day, const std::exception& why) {
    auto kept_from = db_.run(raw_from_day);
    if ((kept_from.step() && day < kept_from.integer(0)) || !unreadable.insert(day).second)
      throw;
    log_error("reader", "counts a day from its rows", {{"cause", why.what()}});
  };
  while (true)
    try {
      return read_without(unreadable, builder);
    } catch (const damaged_day& e) {
      read_rows_of(e.day(), e);
    } catch (const newer_day& e) {
      read_rows_of(e.day(), e);
    }
}

void cube_tally::read_without(const std::set<int32_t>& unreadable,
                              statistics::count_reader& builder) {
  builder.begin();
  const auto range = builder.range();
  std::vector<stored_cube> missing;
  for (const auto& cube : cubes_of_days(db_, statistics::day_of_slot(range.begin),
                                        statistics::day_of_slot(range.end - 1)))
    if (!unreadable.contains(cube.day()) && !add_kept(cube, builder))
      missing.push_back(cube);
  each_cube(db_, missing, [&](const stored_cube& which, std::string_view body) {
    auto parts = builder.parts_of(which.day());
    if (!parts)
      return;
    auto cube = read_cube_of(which.id, body, *parts);
    builder.add(cube);
    keep(which, std::move(cube));
  });
  auto add = [&](const auto& e) { builder.add(e); };
  for (auto day : unreadable)
    each_row_of(db_, counted_rows_of_day, times_of(day), add);
  each_row(db_, lines_of(range), add);
}

/// Once in a question, which may ask for each of its days.
void cube_tally::read_lines() {
  if (lines_)
    return;
  db_.queue(takes_over);
  db_.queue(uncounted, {}, true);
  auto answers = db_.run_queued();
  if (!answers.front().step())
    throw postgres_error{"the table counted is empty", {}};
  if (answers.front().text(0) == "t")
    throw not_taken_over{};
  lines_ = uncounted_of(std::move(answers.back()));
}

std::vector<uncounted_rows> cube_tally::lines_of(const statistics::slot_range& range) const {
  constexpr int64_t far = 10'000'000'000; // slots, whose times 64 bits can hold
  const auto begin = std::clamp(range.begin, -far, far) * statistics::slot_us;
  const auto end = std::clamp(range.end, -far, far) * statistics::slot_us;
  std::vector<uncounted_rows> out;
  for (auto line : *lines_) {
    line.first_us = std::max(line.first_us, begin);
    line.last_us = std::min(line.last_us, end - 1);
    if (line.first_us <= line.last_us)
      out.push_back(line);
  }
  return out;
}

bool cube_tally::add_kept(const stored_cube& which, statistics::count_reader& to) {
  auto found = kept_.find(which.id);
  auto parts = to.parts_of(which.day());
  if (found == kept_.end() || found->second.stamp != which.stamp || !parts)
    return !parts;
  auto& kept = found->second;
  kept.used = question_;
  if ((kept.cube.parts & *parts) != *parts)
    return false;
  to.add(kept.cube);
  return true;
}

/// What this question has used stays: it may ask for the same again, and a question over more than
/// there is room for keeps a part rather than nothing.
void cube_tally::keep(const stored_cube& which, statistics::cube cube) {
  auto bytes = cube.footprint();
  if (auto before = kept_.find(which.id); before != kept_.end()) {
    kept_bytes_ -= before->second.bytes;
    kept_.erase(before);
  }
  if (kept_bytes_ + bytes > most_kept_bytes)
    std::erase_if(kept_, [&](const auto& entry) {
      if (entry.second.used == question_)
        return false;
      kept_bytes_ -= entry.second.bytes;
      return true;
    });
  if (kept_bytes_ + bytes > most_kept_bytes)
    return;
  kept_bytes_ += bytes;
  kept_.emplace(which.id, kept_cube{std::move(cube), which.stamp, bytes, question_});
}

std::vector<statistics::compared> compare_counts(statistics::row_source& rows, cube_tally& counts,
                                                 int64_t from_day) {
  const statistics::tally_query everything{
    .range = {from_day * statistics::slots_per_day, last_slot},
    .feature = {},
    .wanted = {.latency = true,
               .statuses = true,
               .instances = true,
               .users = true,
               .users_by_feature = false,
               .addresses = true}};
  auto& row = rows.ask(sums_of_rows, {from_day});
  row.step();
  auto counted = counts.count(everything);
  auto sums = counted.total();
  return {
    {"events", row.integer(0), wide_number{sums.n}},
    {"errors", row.integer(1), wide_number{sums.errors}},
    {"statuses", row.integer(2), total(counted.statuses)},
    {"instances", row.integer(3), total(counted.instances)},
    {"durations", row.integer(4), total(counted.latencies)},
    {"microseconds", wide_number{row.integer(5)} * (int64_t{1} << 32) + row.integer(6),
     wide_number(sums.sum_us)},
    {"users", row.integer(7), wide_number{counted.users}},
    {"addresses", row.integer(8), wide_number{counted.addresses}},
  };
}

} // namespace phi::store
