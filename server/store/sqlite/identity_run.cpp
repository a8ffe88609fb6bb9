#include "server/store/sqlite/identity_run.hpp"

#include "server/platform/digest.hpp"
#include "server/store/sqlite/statements.hpp"

#include <algorithm>
#include <cstring>
#include <zlib.h>

namespace phi::store {
namespace {

/// Ids of blocks and of rows of filters: the run, then the number within it.
constexpr int run_shift = 32;

int64_t row_id(int64_t run, size_t number) {
  return (run << run_shift) | static_cast<int64_t>(number);
}

uint32_t checksum(std::string_view body) {
  return static_cast<uint32_t>(
    ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
}

/// With its checksum behind it.
std::string sealed(std::string_view body) {
  auto sum = checksum(body);
  std::string out{body};
  out.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  return out;
}

/// What `sealed` was given. Good until the statement is reset.
std::string_view unsealed(const statement& row, int column, int64_t run, const char* part) {
  auto whole = row.blob(column);
  uint32_t sum = 0;
  if (whole.size() < sizeof sum)
    throw damaged_run{run, part, "is cut off"};
  auto body = whole.substr(0, whole.size() - sizeof sum);
  std::memcpy(&sum, body.data() + body.size(), sizeof sum);
  if (sum != checksum(body))
    throw damaged_run{run, part, "is damaged"};
  return body;
}

/// Whether the part is there. It lies on several pages, any of which may be lost.
bool step_to(statement& row, int64_t run, const char* part) {
  try {
    return row.step();
  } catch (const sqlite_error& e) {
    if (is_corrupt(e))
      throw damaged_run{run, part, "is on a page that is lost"};
    throw;
  }
}

template <class T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

template <class T>
std::vector<T> copied(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(T));
  return out;
}

/// As memcmp would sort them, in two comparisons of numbers.
bool is_before(const digest& left, const digest& right) {
  auto number_at = [](const digest& bytes, size_t at) {
    uint64_t out = 0;
    for (size_t i = at; i < at + 8; ++i)
      out = out << 8 | bytes[i];
    return out;
  };
  auto lefts = number_at(left, 0);
  auto rights = number_at(right, 0);
  return lefts != rights ? lefts < rights : number_at(left, 8) < number_at(right, 8);
}

/// The bit of a word of a part.
uint32_t bit(const filter_key& key, size_t word) {
  constexpr uint32_t salts[8] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                 0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};
  return 1U << ((key.low * salts[word]) >> 27);
}

} // namespace

filter_key::filter_key(const digest& key) {
  auto all = mixed(key, 0);
  part = static_cast<size_t>(((all >> 32) * block_filter::parts) >> 32);
  low = static_cast<uint32_t>(all);
}

void block_filter::add(const filter_key& key) {
  for (size_t i = 0; i < 8; ++i)
    words[key.part][i] |= bit(key, i);
}

bool block_filter::may_contain(const filter_key& key) const {
  for (size_t i = 0; i < 8; ++i)
    if ((words[key.part][i] & bit(key, i)) == 0)
      return false;
  return true;
}

std::optional<size_t> identity_run::block_of(const digest& key) const {
  const auto size = fences.size();
  if (size == 0 || is_before(key, fences.front()))
    return {};
  // first <= the one < end, from the likely place on in growing steps, then by halves.
  auto share = static_cast<uint64_t>(key[0]) << 24 | key[1] << 16 | key[2] << 8 | key[3];
  auto first = static_cast<size_t>(share * size >> 32);
  auto end = first + 1;
  for (size_t step = 1; is_before(key, fences[first]); step *= 2) {
    end = first;
    first -= std::min(first, step);
  }
  for (size_t step = 1; end < size && !is_before(key, fences[end]); step *= 2) {
    first = end;
    end = std::min(size, end + step);
  }
  while (end - first > 1) {
    auto middle = first + (end - first) / 2;
    (is_before(key, fences[middle]) ? end : first) = middle;
  }
  return first;
}

void identity_run::prefetch(const digest& key, const filter_key& at) const {
  if (filters.empty())
    return;
  if (auto number = block_of(key))
    __builtin_prefetch(&filters[*number].words[at.part]);
}

identity_tables::identity_tables(sqlite_connection& db)
  : db_(db),
    get_block_(db, sql::identity_block),
    put_block_(db, sql::add_identity_block),
    get_filters_(db, sql::identity_filters),
    put_filters_(db, sql::add_identity_filters),
    put_run_(db, sql::add_identity_run),
    dead_runs_(db, "identity_run", sql::remove_identity_run),
    dead_blocks_(db, "identity_block", sql::remove_identity_block),
    dead_filters_(db, "identity_filter", sql::remove_identity_filters) {}

std::set<int64_t> identity_tables::numbers() {
  std::set<int64_t> out;
  statement ask{db_, sql::identity_runs};
  while (ask.step())
    out.insert(ask.integer(0));
  for (auto run : dead_runs_.all())
    out.erase(run);
  return out;
}

std::vector<identity_run> identity_tables::runs() {
  const auto listed = numbers();
  std::vector<identity_run> out;
  statement ask{db_, sql::identity_runs};
  while (ask.step()) {
    if (!listed.contains(ask.integer(0)))
      continue;
    auto& run = out.emplace_back(identity_run{.number = ask.integer(0),
                                              .level = ask.integer(1),
                                              .digests = ask.integer(2),
                                              .last_seq = ask.integer(3)});
    run.damaged = run.digests < 1;
    if (run.digests < 0) // see sql::mark_identity_run
      run.digests = -1 - run.digests;
    try {
      run.fences = fences_of(run.number);
    } catch (const damaged_run&) {
      run.damaged = true;
    }
    run.damaged |= run.blocks() != run.blocks_written();
  }
  return out;
}

std::vector<digest> identity_tables::fences_of(int64_t run) {
  statement ask{db_, sql::identity_fences};
  ask.bind(1, run);
  try {
    if (!ask.step())
      throw damaged_run{run, "index", "is missing"};
  } catch (const sqlite_error& e) {
    if (!is_corrupt(e))
      throw;
    dead_runs_.note_lost(run);
    throw damaged_run{run, "index", "is on a page that is lost"};
  }
  return copied<digest>(unsealed(ask, 0, run, "index"));
}

void identity_tables::load_filters(identity_run& into) {
  std::vector<block_filter> all;
  all.reserve(into.blocks());
  for (size_t first = 0; first < into.blocks(); first += filters_a_row) {
    reset_at_end reset{get_filters_};
    get_filters_.bind(1, row_id(into.number, first));
    if (!step_to(get_filters_, into.number, "filter"))
      throw damaged_run{into.number, "filter", "is missing"};
    auto some = copied<block_filter>(unsealed(get_filters_, 0, into.number, "filter"));
    all.insert(all.end(), some.begin(), some.end());
  }
  if (all.size() != into.blocks())
    throw damaged_run{into.number, "filters", "do not fit its size"};
  into.filters = std::move(all);
}

bool identity_tables::contains(const identity_run& run, const digest& key, const filter_key& at) {
  auto number = run.block_of(key);
  return number && filter_passes(run, *number, at) && block_contains(run, *number, key);
}

bool identity_tables::filter_passes(const identity_run& run, size_t number, const filter_key& key) {
  if (!run.filters.empty())
    return run.filters[number].may_contain(key);
  reset_at_end reset{get_filters_};
  auto first = number - number % filters_a_row;
  get_filters_.bind(1, row_id(run.number, first));
  if (!step_to(get_filters_, run.number, "filter"))
    throw damaged_run{run.number, "filter", "is missing"};
  auto some = unsealed(get_filters_, 0, run.number, "filter");
  auto offset = (number - first) * sizeof(block_filter);
  if (some.size() != std::min(filters_a_row, run.blocks() - first) * sizeof(block_filter))
    throw damaged_run{run.number, "filter", "is of another size"};
  block_filter filter;
  std::memcpy(&filter, some.data() + offset, sizeof filter);
  return filter.may_contain(key);
}

bool identity_tables::block_contains(const identity_run& run, size_t number, const digest& key) {
  reset_at_end reset{get_block_};
  auto body = body_of(run, number);
  auto at = [&](size_t i) {
    return std::memcmp(body.data() + i * key.size(), key.data(), key.size());
  };
  size_t first = 0;
  for (size_t left = body.size() / key.size(); left > 0;) {
    auto half = left / 2;
    auto order = at(first + half);
    if (order == 0)
      return true;
    first = order < 0 ? first + half + 1 : first;
    left = order < 0 ? left - half - 1 : half;
  }
  return false;
}

/// Good until the statement is reset.
std::string_view identity_tables::body_of(const identity_run& run, size_t number) {
  get_block_.bind(1, row_id(run.number, number));
  if (!step_to(get_block_, run.number, "block"))
    throw damaged_run{run.number, "block", "is missing"};
  return unsealed(get_block_, 0, run.number, "block");
}

std::vector<digest> identity_tables::block(const identity_run& run, size_t number) {
  reset_at_end reset{get_block_};
  return copied<digest>(body_of(run, number));
}

bool identity_tables::mark_damaged(int64_t run) {
  statement mark{db_, sql::mark_identity_run};
  mark.bind(1, run).execute();
  return db_.changes() > 0;
}

std::optional<identity_tables::found_block> identity_tables::find_block(int64_t run, size_t from) {
  auto number = next_block(run, from);
  if (!number)
    return {};
  found_block out{.number = *number, .digests = {}};
  try {
    out.digests = block({.number = run}, *number);
  } catch (const damaged_run&) { // it is there, and says nothing
  }
  return out;
}

/// Where not even that can be read: this one, which is damaged then. A block takes several pages,
/// so there are fewer of them than pages.
std::optional<size_t> identity_tables::next_block(int64_t run, size_t from) {
  try {
    auto id = next_id(sql::next_identity_block, row_id(run, from));
    return id && *id < row_id(run + 1, 0) ? std::optional{static_cast<size_t>(*id - row_id(run, 0))}
                                          : std::nullopt;
  } catch (const sqlite_error& e) {
    if (!is_corrupt(e))
      throw;
  }
  statement pages{db_, "PRAGMA page_count"};
  bool may_be_there = pages.step() && static_cast<int64_t>(from) < pages.integer(0);
  return may_be_there ? std::optional{from} : std::nullopt;
}

int64_t identity_tables::unused_number() {
  statement last{db_, sql::last_identity_run};
  last.bind(1, int64_t{run_shift});
  return last.step() ? last.integer(0) + 1 : 1;
}

void identity_tables::put_block(int64_t run, size_t number, std::span<const digest> digests) {
  auto body = sealed(bytes_of(digests));
  put_block_.bind(1, row_id(run, number)).bind_blob(2, body.data(), body.size()).execute();
}

void identity_tables::put_filters(int64_t run, size_t first_block,
                                  std::span<const block_filter> filters) {
  auto body = sealed(bytes_of(filters));
  put_filters_.bind(1, row_id(run, first_block)).bind_blob(2, body.data(), body.size()).execute();
}

void identity_tables::put_run(const identity_run& run) {
  auto fences = sealed(bytes_of(std::span{run.fences}));
  put_run_.bind(1, run.number)
    .bind(2, run.level)
    .bind(3, run.digests)
    .bind(4, run.last_seq)
    .bind_blob(5, fences.data(), fences.size())
    .execute();
}

void identity_tables::remove_run(int64_t number) {
  dead_runs_.remove(number);
}

int64_t identity_tables::sweep(int64_t rows) {
  const auto kept = numbers();
  auto deleted = sweep(dead_blocks_, sql::next_identity_block, kept, rows);
  return deleted > 0 ? deleted : sweep(dead_filters_, sql::next_identity_filters, kept, rows);
}

int64_t identity_tables::sweep(dead_rows& parts, std::string_view next,
                               const std::set<int64_t>& kept, int64_t rows) {
  const auto dead = parts.all();
  int64_t deleted = 0;
  for (int64_t from = 0; deleted < rows && !cannot_sweep_;) {
    auto id = next_to_sweep(next, from);
    if (!id)
      break;
    auto run = *id >> run_shift;
    from = kept.contains(run) ? row_id(run + 1, 0) : *id + 1;
    if (kept.contains(run) || dead.contains(*id))
      continue;
    parts.remove(*id);
    ++deleted;
  }
  return deleted;
}

std::optional<int64_t> identity_tables::next_to_sweep(std::string_view next, int64_t from) {
  try {
    return next_id(next, from);
  } catch (const sqlite_error& e) {
    cannot_sweep_ |= is_corrupt(e);
    throw;
  }
}

std::optional<int64_t> identity_tables::next_id(std::string_view next, int64_t from) {
  statement ask{db_, next};
  ask.bind(1, from);
  return ask.step() ? std::optional{ask.integer(0)} : std::nullopt;
}

} // namespace phi::store
