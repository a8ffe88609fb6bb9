#include "server/store/sqlite/cube_reader.hpp"

#include "server/statistics/day_comparison.hpp"
#include "server/statistics/tally_builder.hpp"
#include "server/store/sqlite/row_retention.hpp"

#include <limits>

namespace phi::store {
namespace {

/// Of cubes as they are read; those of some months, but for their users.
constexpr size_t most_kept_bytes = 12 << 20;

constexpr int64_t first_and_last_slot = 100'000'000'000;
/// Of rows behind the mark, of which there are only more while cubes cannot be written.
constexpr int64_t most_kept_rows = 1 << 16;

constexpr int64_t all_rows = std::numeric_limits<int64_t>::max();

template <class Key>
statistics::wide_number total(const std::map<Key, uint64_t>& numbers) {
  statistics::wide_number out = 0;
  for (const auto& [key, n] : numbers)
    out += n;
  return out;
}

} // namespace

void cube_reader::begin() {
  ++question_;
  mark_ = table_.mark();
  tail_.drop_up_to(mark_.last_seq);
  tail_read_to_ = std::max(tail_read_to_, mark_.last_seq);
  if (!tail_.empty()) // a question before may have been ended while it read
    tail_read_to_ = std::max(tail_read_to_, tail_.last_seq());
  if (auto room = most_kept_rows - static_cast<int64_t>(tail_.size()); room > 0)
    table_.read_tail(tail_read_to_, all_rows, room, tail_);
  if (!tail_.empty())
    tail_read_to_ = tail_.last_seq();
}

void cube_reader::read(statistics::count_reader& builder) {
  builder.begin();
  const auto range = builder.range();
  const auto first = statistics::day_of_slot(range.begin);
  const auto last = statistics::day_of_slot(range.end - 1);
  for (auto id : table_.ids(first, last, mark_.last_seq)) {
    db_.stop_if_told();
    if (auto parts = builder.parts_of(listed_cube{.id = id}.day()))
      builder.add(get(id, *parts));
  }
  for (size_t i = 0; i < tail_.size(); ++i)
    builder.add(tail_.at(i));
  table_.each_behind(tail_read_to_, [&](const auto& e) { builder.add(e); });
  db_.stop_if_told();
}

/// Good until the next call.
const statistics::cube& cube_reader::get(int64_t id, statistics::cube_parts parts) {
  auto found = kept_.find(id);
  if (found != kept_.end()) {
    auto& kept = found->second;
    kept.used = question_;
    if ((kept.cube.parts & parts) == parts)
      return kept.cube;
    parts |= kept.cube.parts;
    kept_bytes_ -= kept.bytes;
    kept_.erase(found);
  }
  not_kept_ = table_.read(id, parts);
  auto bytes = not_kept_.footprint();
  make_room(bytes);
  if (kept_bytes_ + bytes > most_kept_bytes)
    return not_kept_;
  kept_bytes_ += bytes;
  return kept_.emplace(id, kept_cube{std::move(not_kept_), bytes, question_}).first->second.cube;
}

/// What this question has used stays: it may ask for the same again, and a question over more than
/// there is room for keeps a part rather than nothing.
void cube_reader::make_room(size_t bytes) {
  if (kept_bytes_ + bytes <= most_kept_bytes)
    return;
  std::erase_if(kept_, [&](const auto& entry) {
    if (entry.second.used == question_)
      return false;
    kept_bytes_ -= entry.second.bytes;
    return true;
  });
}

std::vector<statistics::compared> compare_counts(sqlite_connection& db, cube_reader& counts) {
  // Before that day rows are deleted, and what was counted of them stays.
  const auto first_slot =
    std::max(-first_and_last_slot, read_deleted_rows(db).from_day * statistics::slots_per_day);
  const statistics::tally_query everything{.range = {first_slot, first_and_last_slot},
                                           .feature = {},
                                           .wanted = {.latency = true,
                                                      .statuses = true,
                                                      .instances = true,
                                                      .users = true,
                                                      .users_by_kind = false,
                                                      .users_by_feature = false,
                                                      .addresses = true}};
  // Those that no row can replace are read all the same: damage must be found.
  const auto first_day = statistics::day_of_slot(first_slot);
  statistics::day_digests days_of_rows;
  statistics::day_digests days_of_cubes;
  cube_table table{db};
  constexpr auto any_day = std::numeric_limits<int32_t>::max();
  for (auto id : table.ids(-any_day, any_day, table.mark().last_seq)) {
    db.stop_if_told();
    auto part = table.read(id, statistics::all_cube_parts);
    if (part.day >= first_day)
      days_of_cubes.add(part);
  }
  auto is_compared = [&](const statistics::counted_event& e) {
    return statistics::day_of_slot(statistics::slot_of(e.time_us)) >= first_day;
  };
  table.each_behind(table.mark().last_seq, [&](const auto& e) {
    if (is_compared(e))
      days_of_cubes.add(e);
  });
  statistics::tally_builder of_rows{everything};
  table.each_behind(std::numeric_limits<int64_t>::min(), [&](const auto& e) {
    of_rows.add(e);
    if (is_compared(e))
      days_of_rows.add(e);
  });
  auto from_rows = of_rows.take();
  auto from_cubes = counts.count(everything);
  auto same = [&](const char* name, auto number) {
    return statistics::compared{name, number(from_rows), number(from_cubes), {}};
  };
  using statistics::tally;
  using statistics::wide_number;
  std::vector<statistics::compared> out{
    same("events", [](const tally& counted) { return wide_number{counted.total().n}; }),
    same("errors", [](const tally& counted) { return wide_number{counted.total().errors}; }),
    same("statuses", [](const tally& counted) { return total(counted.statuses); }),
    same("instances", [](const tally& counted) { return total(counted.instances); }),
    same("durations", [](const tally& counted) { return total(counted.latencies); }),
    same("microseconds", [](const tally& counted) { return wide_number(counted.total().sum_us); }),
    same("users", [](const tally& counted) { return wide_number{counted.users}; }),
    same("addresses", [](const tally& counted) { return wide_number{counted.addresses}; }),
  };
  auto by_day = statistics::day_digests::compare(days_of_rows, days_of_cubes);
  out.insert(out.end(), by_day.begin(), by_day.end());
  return out;
}

} // namespace phi::store
