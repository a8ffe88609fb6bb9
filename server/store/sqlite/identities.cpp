#include "server/store/sqlite/identities.hpp"

#include "actors/log.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/store/sqlite/row_retention.hpp"
#include "server/store/sqlite/statements.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace phi::store {
namespace {

/// What is read and written of runs for each event that comes. An identity is sorted and written
/// once, which counts twice, and then once for each level: four are enough for 10^9.
constexpr size_t work_an_event = 8;
/// And at least, so that single events make progress too.
constexpr size_t least_work = 64;
/// So much at rest, and in a slice of a start: about 5 ms.
constexpr size_t work_at_rest = 16 * digests_a_block;

/// Blocks that are deleted for one that could have been written.
constexpr int64_t sweep_ratio = 4;

/// Full sets that wait for being written while rows are read at the start.
constexpr size_t most_full = 2;
/// Slices in a transaction of its own then.
constexpr int slices_at_once = 16;
/// Between two reports of a long start.
constexpr int64_t report_rows = 1'000'000;

/// Of a run on disk: a digest, its share of a filter and of what pages leave free.
constexpr uint64_t bytes_a_digest = 19;
/// Room that is left to events while runs are merged.
constexpr uint64_t reserve_bytes = 128 << 20;

constexpr int64_t no_limit = -1; ///< of rows
/// Behind it are all.
constexpr int64_t all_rows = std::numeric_limits<int64_t>::min();

digest digest_of(const statement& row, int column) {
  auto bytes = row.blob(column);
  digest out{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), out.size()), out.begin());
  return out;
}

/// Those of all rows, also of deleted ones; and those that are known.
std::pair<identity_sums, identity_sums> identities_in(sqlite_connection& db) {
  auto of_rows = read_deleted_rows(db).identities;
  identity_sums derived;
  identity_tables tables{db};
  int64_t last_seq = 0;
  for (const auto& run : tables.runs()) {
    if (run.damaged)
      throw damaged_run{run.number, "index", "is damaged"};
    last_seq = std::max(last_seq, run.last_seq);
    for (size_t i = 0; i < run.blocks(); ++i)
      for (const auto& identity : tables.block(run, i))
        derived.add(identity);
  }
  statement rows{db, sql::identities_after};
  rows.bind(1, all_rows).bind(2, no_limit);
  while (rows.step()) {
    auto identity = digest_of(rows, 1);
    of_rows.add(identity);
    if (rows.integer(0) > last_seq) // known in memory
      derived.add(identity);
  }
  return {of_rows, derived};
}

constexpr auto older = [](const auto& a, const auto& b) { return a.last_seq < b.last_seq; };

} // namespace

identities::identities(sqlite_connection& db, identity_limits limits)
  : db_(db),
    version_(db.data_version()),
    limits_(limits),
    tables_(db),
    lost_(db) {
  for (bool whole = false; !whole;) {
    try {
      load();
      whole = true;
    } catch (const damaged_run& e) {
      if (!mark_damaged(db, e))
        throw;
    }
  }
}

bool mark_damaged(sqlite_connection& db, const damaged_run& found) {
  log_error("store", "has found a damaged run of identities", {{"cause", found.what()}});
  return identity_tables{db}.mark_damaged(found.run());
}

void identities::load() {
  merge_.reset();
  damage_.reset();
  newest_ = {};
  full_.clear();
  last_seq_ = 0;
  runs_ = tables_.runs();
  std::stable_sort(runs_.begin(), runs_.end(), older);
  for (const auto& run : runs_)
    last_seq_ = std::max(last_seq_, run.last_seq);
  auto first_damaged =
    std::stable_partition(runs_.begin(), runs_.end(), [](const auto& run) { return !run.damaged; });
  std::vector<identity_run> damaged(first_damaged, runs_.end());
  runs_.erase(first_damaged, runs_.end());
  hold_filters();
  if (damaged.empty())
    load_rows_behind(last_seq_, true);
  else
    make_damaged_anew(damaged);
}

/// What is not known otherwise becomes runs. The damaged ones are on the list until all of it is
/// written, so a kill at any point costs only the time.
void identities::make_damaged_anew(const std::vector<identity_run>& damaged) {
  log_error("store", "makes what it knows of identities anew, from what can be read and the rows",
            {{"damaged_runs", damaged.size()}});
  std::vector<digest_range> gaps;
  for (const auto& run : damaged) {
    auto more = take_over(run);
    gaps.insert(gaps.end(), more.begin(), more.end());
  }
  load_rows_behind(all_rows, false);
  while (newest_.size() > 0 || !full_.empty()) {
    finish_generation();
    make_run_now();
  }
  drop_damaged(damaged, std::move(gaps));
}

/// The blocks that can be read. Between which digests there was something else.
std::vector<digest_range> identities::take_over(const identity_run& damaged) {
  std::vector<digest_range> gaps;
  digest last{};
  bool in_gap = false;
  size_t next = 0;
  while (auto block = tables_.find_block(damaged.number, next)) {
    in_gap |= block->number != next || block->digests.empty();
    next = block->number + 1;
    if (block->digests.empty())
      continue;
    if (std::exchange(in_gap, false))
      gaps.push_back({last, block->digests.front()});
    last = block->digests.back();
    for (const auto& identity : block->digests)
      learn(identity);
  }
  if (in_gap || next < damaged.blocks_written()) {
    gaps.push_back({last, {}});
    gaps.back().last.fill(0xff);
  }
  return gaps;
}

void identities::learn(const digest& identity) {
  if (!known(identity) && newest_.add(identity))
    settled(last_seq_);
  while (full_.size() > most_full)
    make_run_now();
}

/// Nothing is lost where all identities of deleted rows were read.
void identities::drop_damaged(const std::vector<identity_run>& damaged,
                              std::vector<digest_range> gaps) {
  sqlite_transaction last{db_};
  db_.must_be_at(version_);
  for (const auto& run : damaged)
    tables_.remove_run(run.number);
  auto deleted = read_deleted_rows(db_);
  identity_sums lost;
  if (deleted.identities.number > 0) {
    auto [of_rows, derived] = identities_in(db_);
    lost = of_rows.less(derived);
  }
  if (lost.number > 0)
    lost_identities::add(db_, lost, std::move(gaps), deleted.from_day);
  last.commit();
  if (lost.number > 0)
    log_error("store",
              "has lost identities of deleted rows: older events that may have them are"
              " refused",
              {{"identities", lost.number},
               {"before", format_date(static_cast<int32_t>(deleted.from_day))}});
  lost_ = lost_identities{db_};
}

/// Mostly few; all of them when the runs are made anew. Each full set but the last ones becomes a
/// run at once, so that memory is bounded and a kill loses little of the work. They are read in
/// parts: who reads keeps the write-ahead log from beginning anew.
void identities::load_rows_behind(int64_t seq, bool are_new) {
  int64_t read = 0;
  int64_t reported = 0;
  for (bool more = true; more;) {
    {
      statement rows{db_, sql::identities_after};
      rows.bind(1, seq).bind(2, report_rows);
      for (more = false; full_.size() <= most_full && rows.step(); more = true, ++read) {
        auto identity = digest_of(rows, 1);
        if (are_new || !known(identity))
          newest_.add(identity);
        seq = rows.integer(0);
        settled(seq);
      }
    }
    while (full_.size() > most_full)
      make_run_now();
    if (read >= reported + report_rows) {
      reported = read;
      log_info("store", "reads the identities of its rows", {{"rows", read}});
    }
  }
}

void identities::make_run_now() {
  auto before = full_.size();
  while (full_.size() == before) {
    sqlite_transaction slices{db_};
    db_.must_be_at(version_);
    for (int i = 0; i < slices_at_once && !whole_; ++i)
      make_runs(0);
    slices.commit();
    settled(last_seq_);
  }
}

std::vector<statistics::compared> compare_identities(sqlite_connection& db) {
  auto [of_rows, derived] = identities_in(db);
  return {{"identities", of_rows.number, derived.number},
          {"sum of identities", of_rows.sum, derived.sum}};
}

bool identities::add(const digest& identity) {
  if (known(identity) || !newest_.add(identity))
    return false;
  added_.push_back(identity);
  return true;
}

bool identities::known(const digest& identity) {
  if (damage_)
    throw damaged_run{*damage_};
  auto in_generation = [&](const auto& full) { return full.digests.contains(identity); };
  filter_key at{identity};
  auto in_run = [&](const auto& run) { return tables_.contains(run, identity, at); };
  return newest_.contains(identity) || std::any_of(full_.begin(), full_.end(), in_generation)
         || std::any_of(runs_.rbegin(), runs_.rend(), in_run);
}

void identities::expect(const digest& identity) const {
  newest_.prefetch(identity);
  for (const auto& full : full_)
    full.digests.prefetch(identity);
  filter_key at{identity};
  for (const auto& run : runs_)
    run.prefetch(identity, at);
}

void identities::take_back(size_t kept) {
  for (; added_.size() > kept; added_.pop_back())
    newest_.erase(added_.back());
}

void identities::settled(int64_t last_seq) {
  added_.clear();
  last_seq_ = std::max(last_seq_, last_seq);
  if (whole_)
    replace_inputs();
  if (newest_.size() >= limits_.generation)
    full_.push_back({std::exchange(newest_, {}), last_seq_});
}

void identities::forgotten() {
  take_back(0);
  give_up_run();
}

/// What earlier transactions wrote of it is swept up, and what this one has swept up may be there
/// again.
void identities::give_up_run() {
  sweeping_ = true;
  gave_up_ |= merge_.has_value();
  merge_.reset();
  whole_ = false;
}

int64_t identities::last_run_seq() const {
  auto last = std::max_element(runs_.begin(), runs_.end(), older);
  return last == runs_.end() ? 0 : last->last_seq;
}

void identities::finish_generation() {
  if (newest_.size() > 0 && full_.empty())
    full_.push_back({std::exchange(newest_, {}), last_seq_});
}

bool identities::catch_up() {
  give_up_run(); // it may have been swept up
  std::set<int64_t> known;
  for (const auto& run : runs_)
    known.insert(run.number);
  if (known != tables_.numbers())
    return false;
  statement rows{db_, sql::identities_after};
  rows.bind(1, last_seq_).bind(2, no_limit);
  for (size_t read = 0; rows.step(); ++read) {
    if (read == limits_.generation)
      return false;
    newest_.add(digest_of(rows, 1));
    last_seq_ = rows.integer(0);
  }
  return true;
}

void identities::make_runs(size_t events) {
  auto work = events == 0 ? work_at_rest : std::max(events * work_an_event, least_work);
  if (!merge_ && !begin_merge() && !sweeping_)
    return;
  if (merge_ && !whole_ && merge_->step(work))
    finish_merge();
  else if (!merge_)
    sweep(std::max<int64_t>(1, sweep_ratio * static_cast<int64_t>(work / digests_a_block)));
}

void identities::sweep(int64_t rows) {
  while (rows > 0 && sweeping_) {
    auto deleted = tables_.sweep(rows);
    sweeping_ = deleted > 0;
    rows -= deleted;
  }
}

/// What is left of a run that was given up goes first: it has taken room.
bool identities::begin_merge() {
  if (gave_up_ && sweeping_)
    return false;
  gave_up_ = false;
  return begin_run_of_generation() || (!sweeping_ && begin_run_of_level());
}

bool identities::begin_run_of_generation() {
  if (full_.empty())
    return false;
  auto all = full_.front().digests.all();
  std::vector<std::unique_ptr<sorted_digests>> parts;
  for (size_t at = 0; at < all.size(); at += limits_.sorted_at_once) {
    auto end = std::min(all.size(), at + limits_.sorted_at_once);
    parts.push_back(sorted_in_memory(
      {all.begin() + static_cast<ptrdiff_t>(at), all.begin() + static_cast<ptrdiff_t>(end)}));
  }
  inputs_.clear();
  merge_.emplace(
    tables_, identity_run{.number = tables_.unused_number(), .last_seq = full_.front().last_seq},
    std::move(parts));
  return true;
}

/// The lowest level that has enough runs.
bool identities::begin_run_of_level() {
  std::vector<size_t> count;
  for (const auto& run : runs_) {
    auto level = static_cast<size_t>(run.level);
    count.resize(std::max(count.size(), level + 1));
    ++count[level];
  }
  auto level =
    std::find_if(count.begin(), count.end(), [&](size_t n) { return n >= limits_.fan_in; });
  if (level == count.end())
    return false;
  if (!has_room_for(static_cast<size_t>(level - count.begin())))
    return false;
  identity_run into{.number = tables_.unused_number(), .level = level - count.begin() + 1};
  std::vector<std::unique_ptr<sorted_digests>> parts;
  inputs_.clear();
  for (const auto& run : runs_)
    if (run.level == into.level - 1 && inputs_.size() < limits_.fan_in) {
      parts.push_back(sorted_in_run(tables_, run));
      inputs_.push_back(run.number);
      into.last_seq = std::max(into.last_seq, run.last_seq);
    }
  merge_.emplace(tables_, std::move(into), std::move(parts));
  return true;
}

/// A run of the next level is there beside those that it replaces until it is whole, and its pages
/// go through the log.
bool identities::has_room_for(size_t level) {
  int64_t digests = 0;
  for (const auto& run : runs_)
    digests += static_cast<size_t>(run.level) == level ? run.digests : 0;
  auto needed = static_cast<uint64_t>(digests) * bytes_a_digest + reserve_bytes;
  auto number = [&](const char* name) {
    statement ask{db_, std::string{"PRAGMA "} + name};
    return ask.step() ? static_cast<uint64_t>(ask.integer(0)) : 0;
  };
  auto within = number("freelist_count") * number("page_size");
  return limits_.room ? within + limits_.room() >= needed : true;
}

/// On disk. In memory nothing changes until that is committed.
void identities::finish_merge() {
  for (auto number : inputs_)
    tables_.remove_run(number);
  whole_ = true;
}

void identities::replace_inputs() {
  if (inputs_.empty())
    full_.pop_front();
  std::erase_if(runs_, [&](const auto& run) {
    return std::find(inputs_.begin(), inputs_.end(), run.number) != inputs_.end();
  });
  auto made = std::move(merge_->made());
  runs_.insert(std::upper_bound(runs_.begin(), runs_.end(), made, older), std::move(made));
  sweeping_ |= !inputs_.empty();
  merge_.reset();
  whole_ = false;
  try {
    hold_filters();
  } catch (const damaged_run& e) { // what was committed is: the next transaction hears of it
    damage_ = e;
  }
}

/// Of the smallest runs, which are the newest.
void identities::hold_filters() {
  std::vector<identity_run*> by_size;
  for (auto& run : runs_)
    by_size.push_back(&run);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const auto* a, const auto* b) { return a->digests < b->digests; });
  size_t held = 0;
  for (auto* run : by_size) {
    held += run->blocks() * sizeof(block_filter);
    if (held > limits_.filter_bytes)
      run->filters = {};
    else if (run->filters.empty())
      tables_.load_filters(*run);
  }
}

} // namespace phi::store
