#include "server/store/postgres/counting.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/store/postgres/cube_statements.hpp"
#include "server/store/postgres/earlier_counts.hpp"

#include <algorithm>
#include <chrono>

namespace phi::store {
namespace {

using namespace postgres_sql;
using std::chrono::steady_clock;

/// Lines that are read at once, and from how many on they are counted: each costs a question more
/// than its rows do.
constexpr int64_t most_lines = 2048;
constexpr int64_t many_lines = 512;
/// Rows of one transaction.
constexpr int64_t most_events = 32'768;
/// Between two reports of a long way.
constexpr int64_t report_rows = 1'000'000;
constexpr auto report_interval = std::chrono::seconds{2};
/// So long a transaction goes on with merges, or with the roll-ups of further days.
constexpr auto longest_merges = std::chrono::milliseconds{200};

void remove_lines(postgres_connection& db, const std::vector<uncounted_rows>& lines) {
  postgres_array ids{postgres_array::element::int8};
  for (const auto& line : lines)
    ids.add(line.id);
  db.run(remove_uncounted, {ids.take()});
}

} // namespace

counting::done counting::slice(postgres_connection& db, bool at_once) {
  done out;
  try {
    auto due = what_is_due(db, at_once);
    if (last_cube_ >= 0 && !due.any() && list_.next_merge_at_rest().empty())
      return out;
    begin_limited(db, defaults::maintenance_limit, defaults::maintenance_lock);
    auto was = lock_counted(db);
    if (was.last_cube != last_cube_) {
      list_.clear();
      for (const auto& cube : all_cubes(db))
        list_.add(cube);
      last_cube_ = was.last_cube;
    }
    work(db, due, was, out);
    fault_point("cube.flushed");
    if (last_cube_ != was.last_cube)
      move_past_lines(db, due, was);
    db.commit();
  } catch (const std::exception& e) {
    last_cube_ = -1;
    wrote_.reset();
    db.recover(e);
    throw;
  }
  return out;
}

counting::due counting::what_is_due(postgres_connection& db, bool at_once) const {
  auto row = db.run(tail_size);
  row.step();
  const auto age = std::chrono::milliseconds{limits_.tail_age}.count();
  return {.lines = row.integer(0) >= limits_.tail_events || row.integer(1) >= many_lines
                   || (row.integer(1) > 0 && (at_once || row.integer(2) >= age)),
          .earlier_rows = row.integer(3) > 0,
          .last_line = row.integer(4),
          .rollups = row.text(5) == "t"};
}

void counting::work(postgres_connection& db, const due& due, const counted_state& was, done& out) {
  if (due.lines)
    count_lines(db, out);
  if (was.taken_over_to)
    take_over(db, *was.taken_over_to, out);
  else if (due.earlier_rows)
    for (auto& line : read_uncounted(db, earlier_uncounted))
      count_earlier_rows(db, line, out);
  const auto ends = steady_clock::now() + longest_merges;
  while (merge_some(db, !due.any()))
    if (steady_clock::now() >= ends) {
      out.more = true;
      break;
    }
}

/// Days of roll-ups, one after the other, as long as a transaction should take.
void counting::take_over(postgres_connection& db, int64_t from_day, done& out) {
  const auto ends = steady_clock::now() + longest_merges;
  std::optional<int64_t> next = from_day;
  out.more = true;
  while (next && steady_clock::now() < ends) {
    auto day = take_over_day(db, *next, last_cube_ + 1);
    if (day.cube) {
      list_.add(*day.cube);
      ++last_cube_;
    }
    next = day.next;
  }
  if (!next)
    out.did = "has taken over the counts of an earlier version";
  else if (steady_clock::now() >= told_at_ + report_interval)
    out.did = "takes over the counts of an earlier version, now those of "
              + format_date(static_cast<int32_t>(*next - 1));
  if (!out.did.empty())
    told_at_ = steady_clock::now();
}

/// A line that is taken away stays a dead row for as long as somebody's snapshot is older, and
/// questions would look at each of them. So they begin behind those that are gone for good: behind
/// the ids that were given when `counted` was written last, once all transactions that were under
/// way then have ended. That this row is still the one of then shows that the numbers of
/// transactions and lines have not begun anew since, as after a restore.
void counting::move_past_lines(postgres_connection& db, const due& due, const counted_state& was) {
  auto number = [&](const char* sql) {
    auto row = db.run(sql);
    row.step();
    return row.integer(0);
  };
  constexpr int64_t low_bits = 0xffff'ffff;
  if (wrote_ && was.written_by == (wrote_->transaction & low_bits)
      && number(oldest_writer) > wrote_->transaction)
    db.run(move_first_line, {postgres_value::number(wrote_->last_line)});
  set_last_cube(db, last_cube_);
  wrote_ = {.transaction = number(own_transaction), .last_line = due.last_line};
}

void counting::count_lines(postgres_connection& db, done& out) {
  auto lines = read_uncounted(db, oldest_uncounted, {postgres_value::number(most_lines)});
  if (lines.empty())
    return;
  int64_t events = lines.front().events; // it may be larger by itself
  auto end = std::find_if(lines.begin() + 1, lines.end(),
                          [&](const auto& line) { return (events += line.events) > most_events; });
  out.more = end != lines.end() || static_cast<int64_t>(lines.size()) == most_lines;
  std::vector some(lines.begin(), end);
  put(db, some);
  remove_lines(db, some);
}

/// A part of them; the line says where to go on.
void counting::count_earlier_rows(postgres_connection& db, uncounted_rows line, done& out) {
  auto last = line.last_seq;
  line.last_seq = std::min(last, line.first_seq + most_events - 1);
  out.more = true;
  put(db, {line});
  if (line.last_seq < last)
    db.run(shorten_uncounted,
           {postgres_value::number(line.id), postgres_value::number(line.last_seq + 1)});
  else
    remove_lines(db, {line});
  if (line.last_seq == last || line.last_seq >= told_at_seq_ + report_rows
      || line.first_seq < told_at_seq_) {
    told_at_seq_ = line.last_seq;
    out.did = "counted the rows of an earlier version up to " + std::to_string(line.last_seq)
              + " of " + std::to_string(last);
  }
}

/// A cube for each day that they touch.
void counting::put(postgres_connection& db, const std::vector<uncounted_rows>& lines) {
  fault_point("cube.flush");
  std::map<int32_t, statistics::cube_builder> days;
  each_row(db, lines, [&](const statistics::counted_event& e) {
    auto day = static_cast<int32_t>(statistics::day_of_slot(statistics::slot_of(e.time_us)));
    auto found = days.find(day);
    if (found == days.end())
      found = days.emplace(day, statistics::cube_builder{day, limits_.cap}).first;
    found->second.add(e);
  });
  for (auto& [day, builder] : days) {
    auto made = builder.take();
    note_others(made, 0);
    list_.add(put_cube(db, ++last_cube_, 0, made));
  }
}

bool counting::merge_some(postgres_connection& db, bool at_rest) {
  auto parts = at_rest ? list_.next_merge_at_rest() : list_.next_merge();
  if (parts.empty())
    return false;
  fault_point("cube.merge");
  const auto day = parts.front().day();
  statistics::cube_builder builder{day, limits_.cap};
  std::vector<int64_t> ids;
  std::vector<stored_cube> stored;
  int64_t level = 0;
  uint64_t others = 0;
  for (const auto& part : parts) {
    ids.push_back(part.id);
    stored.push_back({.id = part.id, .bytes = part.bytes});
    level = std::max(level, part.level);
  }
  try {
    each_cube(db, stored, [&](const stored_cube& part, std::string_view body) {
      auto cube = read_cube_of(part.id, body, statistics::all_cube_parts);
      others += cube.beyond_cap;
      builder.add(cube);
    });
  } catch (const damaged_day&) {
    list_.set_aside(day);
    damaged_.insert(day);
    return true;
  } catch (const newer_day&) {
    list_.set_aside(day);
    return true;
  }
  if (remove_cubes(db, ids) != static_cast<int64_t>(ids.size()))
    throw postgres_error{"cubes are gone that were there", {}};
  for (auto id : ids)
    list_.remove(id);
  auto made = builder.take();
  note_others(made, others);
  bool alike = parts.size() == limits_.fan_in;
  list_.add(put_cube(db, ++last_cube_, level + (alike ? 1 : 0), made));
  return true;
}

/// Once for a day. `before`: events that counted under `other_text` already.
void counting::note_others(const statistics::cube& made, uint64_t before) {
  constexpr size_t most_remembered = 1000;
  if (made.beyond_cap <= before)
    return;
  if (full_.size() > most_remembered)
    full_.clear();
  if (full_.insert(made.day).second)
    log_warn("store", "counts further values of a day together, as (other)",
             {{"day", format_date(made.day)}, {"most_values", limits_.cap}});
}

} // namespace phi::store
