#include "server/store/sqlite/cubes.hpp"

#include "actors/log.hpp"
#include "protocol/fault_point.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/cube_format.hpp"
#include "server/store/sqlite/row_retention.hpp"
#include "server/store/sqlite/statements.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace phi::store {
namespace {

using std::chrono::steady_clock;

/// Bytes that are read, packed or merged for each event that comes: each takes some 20 in a cube,
/// and is packed once and merged a few times.
constexpr uint64_t work_an_event = 1000;
constexpr uint64_t least_work = 64 << 10; ///< so that single events make progress too
constexpr uint64_t work_at_rest = 8 << 20;
/// What a cube costs beside its bytes, and an event that is packed.
constexpr uint64_t cost_a_cube = 2000;
constexpr uint64_t cost_an_event = 150;

/// So long a slice goes on at most; its last step, such as one merge, may take as long again.
constexpr auto longest_slice = std::chrono::milliseconds{15};
/// Unless it lags behind by so many tails: then who brings the events waits.
constexpr int64_t most_tails = 8;

/// Rows that are read in one step.
constexpr int64_t rows_at_once = 2048;

/// Rows that are packed in one transaction while nobody waits for a commit.
constexpr int64_t catch_up_rows = 1 << 15;
/// Between two reports of a long start.
constexpr int64_t report_rows = 1'000'000;
/// Rows that one step of a repair looks at.
constexpr int64_t repair_rows = 20'000;

constexpr int64_t day_us = statistics::slot_us * statistics::slots_per_day;

} // namespace

cubes::cubes(sqlite_connection& db, const cube_limits& limits,
             std::shared_ptr<damaged_days> damaged)
  : limits_(limits),
    damaged_(std::move(damaged)),
    db_(db),
    table_(db),
    list_(limits) {
  read_again();
}

void cubes::read_again() {
  forgotten();
  flush_.reset();
  frozen_.clear();
  frozen_days_.clear();
  flushed_.clear();
  left_.clear();
  days_written_ = 0;
  repair_.reset();
  list_.clear();
  version_ = db_.data_version();
  mark_ = table_.mark();
  for (const auto& cube : table_.all()) {
    if (cube.last_seq <= mark_.last_seq)
      list_.add(cube);
    else
      left_.push_back(cube.id);
    if (cube.bytes == 0) // a repair did not come to its end
      damaged_->add(cube.day());
  }
  mark_.last_cube = std::max(mark_.last_cube, table_.last_number());
  open_ = {.last_cube = mark_.last_cube};
}

void cubes::catch_up(int64_t last_seq) {
  auto in_transaction = [&](auto work) {
    db_.run("BEGIN IMMEDIATE");
    try {
      db_.must_be_at(version_);
      work();
      db_.run("COMMIT");
      settled();
    } catch (...) {
      if (!db_.autocommit())
        db_.run("ROLLBACK");
      forgotten();
      throw;
    }
  };
  auto reported = mark_.last_seq;
  while (last_seq - mark_.last_seq >= limits_.tail_events) {
    in_transaction([&] {
      if (!is_flushing())
        begin_flush(last_seq, std::max(limits_.tail_events, catch_up_rows));
      while (!open_.last_seq)
        flush_some();
    });
    for (bool more = true; more;)
      in_transaction([&] { more = merge_some(false); });
    if (mark_.last_seq >= reported + report_rows) {
      reported = mark_.last_seq;
      log_info("store", "counts the events of its rows",
               {{"up_to_row", mark_.last_seq}, {"of", last_seq}});
    }
  }
}

bool cubes::is_working(int64_t last_seq) const {
  auto behind = last_seq - mark_.last_seq;
  return is_flushing() || repair_ || sorting_out_ || !damaged_->empty()
         || behind >= limits_.tail_events
         || (behind > 0 && steady_clock::now() - flushed_at_ >= limits_.tail_age)
         || !list_.next_merge_at_rest().empty();
}

void cubes::work(size_t events, int64_t last_seq) {
  const auto ends = steady_clock::now() + longest_slice;
  const bool at_rest = events == 0;
  const bool lags = last_seq - mark_.last_seq >= most_tails * limits_.tail_events;
  const auto budget = at_rest ? work_at_rest : std::max(events * work_an_event, least_work);
  begin_repairs();
  bool old = at_rest && steady_clock::now() - flushed_at_ >= limits_.tail_age;
  work_done_ = 0;
  while (work_done_ < budget && (lags || steady_clock::now() < ends)
         && step(at_rest, last_seq, old ? 1 : limits_.tail_events)) {
  }
}

/// One thing that cannot be divided. False: there is nothing to be done.
bool cubes::step(bool at_rest, int64_t last_seq, int64_t tail_from) {
  if (open_.last_seq || open_.repaired || open_.sorted_out)
    return false; // first it has to be committed
  if (!is_flushing() && last_seq - mark_.last_seq >= tail_from)
    begin_flush(last_seq, limits_.tail_events);
  if (is_flushing()) {
    flush_some();
    return true;
  }
  if (sorting_out_) {
    sort_out_some();
    return true;
  }
  if (!repair_)
    return merge_some(at_rest);
  repair_some();
  return true;
}

void cubes::begin_flush(int64_t last_seq, int64_t rows) {
  for (auto id : left_)
    table_.remove(id);
  open_.swept = true;
  flush_ = {.end = last_seq, .left = rows};
}

void cubes::read_rows() {
  auto before = frozen_.size();
  auto after = frozen_.empty() ? mark_.last_seq : frozen_.last_seq();
  table_.read_tail(after, flush_->end, std::min(flush_->left, rows_at_once), frozen_);
  auto read = static_cast<int64_t>(frozen_.size() - before);
  work_done_ += static_cast<uint64_t>(read) * cost_an_event;
  flush_->left = read == 0 ? 0 : flush_->left - read;
  if (flush_->left > 0)
    return;
  frozen_days_ = frozen_.days();
  if (frozen_.empty()) { // the rows are gone
    open_.last_seq = flush_->end;
    table_.set_mark({*open_.last_seq, open_.last_cube});
  }
}

void cubes::flush_some() {
  if (flush_->left > 0)
    read_rows();
  else
    flush_day();
}

/// The cube of the next day. Until all are written nobody sees them: they are behind the mark.
void cubes::flush_day() {
  fault_point("cube.flush");
  const auto& day = frozen_days_[open_.days_written];
  statistics::cube_builder builder{day.number, limits_.cap};
  for (auto at : day.events)
    builder.add(frozen_.at(at));
  auto made = builder.take();
  note_others(made, 0);
  open_.flushed.push_back(put(day.number, 0, frozen_.last_seq(), made));
  work_done_ += day.events.size() * cost_an_event;
  if (++open_.days_written == frozen_days_.size())
    end_flush();
}

void cubes::end_flush() {
  fault_point("cube.flushed");
  open_.last_seq = frozen_.last_seq();
  table_.set_mark({*open_.last_seq, open_.last_cube});
}

bool cubes::merge_some(bool at_rest) {
  auto parts = at_rest ? list_.next_merge_at_rest() : list_.next_merge();
  if (parts.empty())
    return false;
  fault_point("cube.merge");
  listed_cube into;
  uint64_t others = 0;
  statistics::cube_builder builder{parts.front().day(), limits_.cap};
  try {
    for (const auto& part : parts) {
      auto read = table_.read(part.id, statistics::all_cube_parts);
      builder.add(read);
      others += read.beyond_cap;
      into.level = std::max(into.level, part.level);
      into.last_seq = std::max(into.last_seq, part.last_seq);
      work_done_ += part.bytes + cost_a_cube;
    }
  } catch (const damaged_day& e) {
    begin_repair(e.day());
    return true;
  } catch (const newer_day& e) {
    log_warn("store", "leaves the counts of a day as they are", {{"cause", e.what()}});
    list_.set_aside(parts.front().day());
    return true;
  }
  bool alike = std::all_of(parts.begin(), parts.end(),
                           [&](const auto& part) { return part.level == into.level; });
  auto made = builder.take();
  note_others(made, others);
  replace(parts, put(parts.front().day(), into.level + (alike ? 1 : 0), into.last_seq, made));
  return true;
}

void cubes::replace(const std::vector<listed_cube>& parts, const listed_cube& by) {
  for (const auto& part : parts)
    remove(part);
  add(by);
  table_.set_mark({mark_.last_seq, open_.last_cube});
}

void cubes::add(const listed_cube& made) {
  list_.add(made);
  open_.added.push_back(made);
}

void cubes::remove(const listed_cube& gone) {
  table_.remove(gone.id);
  list_.remove(gone.id);
  open_.removed.push_back(gone);
}

/// `before`: events that counted under `other_text` already.
void cubes::note_others(const statistics::cube& made, uint64_t before) {
  if (made.beyond_cap <= before)
    return;
  open_.counted_as_other += made.beyond_cap - before;
  for (size_t i = 0; i < statistics::dimensions; ++i)
    if (made.texts[i].size() > limits_.cap)
      open_.full.emplace(made.day, static_cast<statistics::dimension>(i));
}

/// Once for a day and dimension.
void cubes::log_full() {
  constexpr size_t most_remembered = 1000;
  constexpr std::array names{"feature", "action", "route", "method", "instance", "user kind"};
  static_assert(names.size() == statistics::dimensions);
  if (full_.size() > most_remembered)
    full_.clear();
  for (const auto& full : open_.full)
    if (full_.insert(full).second)
      log_warn("store", "counts further values of a day together, as (other)",
               {{"day", format_date(full.first)},
                {"field", names[static_cast<size_t>(full.second)]},
                {"most_values", limits_.cap}});
}

listed_cube cubes::put(int32_t day, int64_t level, int64_t last_seq,
                       const statistics::cube& whole) {
  auto body = statistics::write_cube(whole);
  listed_cube out{.id = cube_id(day, ++open_.last_cube),
                  .level = level,
                  .last_seq = last_seq,
                  .bytes = body.size()};
  table_.put(out, body);
  work_done_ += body.size() + cost_a_cube;
  return out;
}

void cubes::begin_repairs() {
  const auto days = damaged_->take();
  try {
    for (auto day : days)
      begin_repair(day);
  } catch (...) { // none is forgotten; one that has begun is not begun again
    for (auto day : days)
      damaged_->add(day);
    throw;
  }
}

/// Merges leave the day alone meanwhile.
void cubes::begin_repair(int32_t day) {
  if (repair_ || sorting_out_) {
    if (day != (repair_ ? repair_->day : sorting_out_->day))
      damaged_->add(day); // one after the other
    return;
  }
  if (day < read_deleted_rows(db_).from_day) {
    list_.set_aside(day);
    sorting_out_ = sorting_out{.day = day, .left = list_.of_day(day)};
    return;
  }
  log_error("store", "makes the counts of a day anew, from the rows",
            {{"day", format_date(day)}, {"cause", "they are damaged"}});
  list_.set_aside(day);
  repair_ = repair{.day = day, .up_to = mark_.last_seq, .committed = {}, .open = {}};
}

/// A step: one cube of a day whose rows are deleted. What is damaged is lost, and the rest counts.
void cubes::sort_out_some() {
  auto& day = *sorting_out_;
  if (day.left.empty()) {
    open_.sorted_out = true;
    return;
  }
  auto next = day.left.back();
  day.left.pop_back();
  work_done_ += next.bytes + cost_a_cube;
  try {
    table_.read(next.id, statistics::all_cube_parts);
  } catch (const damaged_day&) {
    ++day.lost;
    remove(next);
  } catch (const newer_day&) { // is not lost
  }
}

/// A step: one cube that is written or deleted, or some rows that are read: all those of the day,
/// so that also a cube of a newer version loses nothing. The day has no counts
/// meanwhile: also after a kill it is made anew before its rows are deleted.
void cubes::repair_some() {
  auto& day = *repair_;
  if (!day.open.barrier)
    return begin_to_replace();
  if (auto old = next_to_replace()) {
    work_done_ += old->bytes + cost_a_cube;
    return remove(*old);
  }
  if (static_cast<int64_t>(day.rows.size()) < limits_.tail_events && read_rows_of_repair())
    return;
  day.rows.empty() ? end_repair() : write_repaired();
}

void cubes::begin_to_replace() {
  listed_cube barrier{.id = cube_id(repair_->day, ++open_.last_cube), .last_seq = repair_->up_to};
  table_.put(barrier, std::string_view{""});
  add(barrier);
  table_.set_mark({mark_.last_seq, open_.last_cube}); // no number of what goes is given again
  repair_->open.barrier = barrier;
  work_done_ += cost_a_cube;
}

std::optional<listed_cube> cubes::next_to_replace() const {
  auto all = list_.of_day(repair_->day);
  auto old = std::find_if(all.begin(), all.end(), [&](const auto& cube) {
    return cube.id < repair_->open.barrier->id && cube.last_seq <= repair_->up_to;
  });
  return old == all.end() ? std::nullopt : std::optional{*old};
}

/// False: there are no more.
bool cubes::read_rows_of_repair() {
  auto& day = *repair_;
  statement first{db_, sql::first_row_from};
  first.bind(1, day.read_to);
  if (!first.step() || first.null(0) || first.integer(0) > day.up_to)
    return false;
  auto begin = first.integer(0);
  auto end = std::min(begin + repair_rows - 1, day.up_to);
  statement rows{db_, sql::counted_rows_of_time};
  const auto room =
    std::min(rows_at_once, limits_.tail_events - static_cast<int64_t>(day.rows.size()));
  rows.bind(1, begin).bind(2, end).bind(5, room);
  rows.bind(3, day.day * day_us).bind(4, (day.day + 1) * day_us);
  int64_t found = 0;
  for (; rows.step(); ++found)
    day.rows.add(rows.integer(0), counted_row(rows));
  day.read_to = (found == room ? day.rows.last_seq() : end) + 1;
  work_done_ += static_cast<uint64_t>(found) * cost_an_event
                + static_cast<uint64_t>(day.read_to - begin) * (cost_an_event / 10);
  return true;
}

void cubes::write_repaired() {
  fault_point("cube.repair");
  auto& day = *repair_;
  statistics::cube_builder builder{day.day, limits_.cap};
  for (size_t i = 0; i < day.rows.size(); ++i)
    builder.add(day.rows.at(i));
  add(put(day.day, 0, day.up_to, builder.take()));
  work_done_ += day.rows.size() * cost_an_event;
  table_.set_mark({mark_.last_seq, open_.last_cube});
  day.rows.clear();
  day.open.next = day.read_to;
}

void cubes::end_repair() {
  fault_point("cube.repaired");
  remove(*repair_->open.barrier);
  open_.repaired = repair_->day;
}

void cubes::settled() {
  mark_.last_cube = open_.last_cube;
  counted_as_other_ += open_.counted_as_other;
  log_full();
  flushed_.insert(flushed_.end(), open_.flushed.begin(), open_.flushed.end());
  days_written_ = open_.days_written;
  if (open_.swept)
    left_.clear();
  if (open_.last_seq) {
    mark_.last_seq = *open_.last_seq;
    for (const auto& cube : flushed_)
      list_.add(cube);
    flushed_.clear();
    flush_.reset();
    frozen_.clear();
    frozen_days_.clear();
    days_written_ = 0;
    flushed_at_ = steady_clock::now();
  }
  if (open_.repaired) {
    log_info("store", "has made the counts of a day anew", {{"day", format_date(*open_.repaired)}});
    list_.put_back(*open_.repaired);
    damaged_->remove(*open_.repaired); // who found the barrier
    repair_.reset();
  }
  if (repair_)
    repair_->committed = repair_->open;
  if (open_.sorted_out) {
    if (sorting_out_->lost > 0)
      log_error("store", "has lost counts of a day: they are damaged, and its rows are deleted",
                {{"day", format_date(sorting_out_->day)}, {"cubes_lost", sorting_out_->lost}});
    list_.put_back(sorting_out_->day);
    damaged_->remove(sorting_out_->day);
    sorting_out_.reset();
  }
  open_ = {.days_written = days_written_, .last_cube = mark_.last_cube};
}

void cubes::forgotten() {
  for (const auto& cube : open_.added)
    list_.remove(cube.id);
  for (const auto& cube : open_.removed)
    if (cube.id <= cube_id(cube.day(), mark_.last_cube)) // else it was made and replaced since
      list_.add(cube);
  if (repair_) { // of rows in cubes that are not there after all it has to read again
    repair_->open = repair_->committed;
    repair_->rows.clear();
    repair_->read_to = repair_->committed.next;
  }
  if (sorting_out_) { // it begins anew
    list_.put_back(sorting_out_->day);
    damaged_->add(sorting_out_->day);
    sorting_out_.reset();
  }
  // What a flush before has left was not deleted after all: it must be, before the mark moves.
  if (open_.swept || (open_.last_seq && frozen_.empty())) {
    flush_.reset();
    frozen_.clear();
    frozen_days_.clear();
    days_written_ = 0;
  }
  open_ = {.days_written = days_written_, .last_cube = mark_.last_cube};
}

} // namespace phi::store
