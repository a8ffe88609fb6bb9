#pragma once
/// A database whose identities a test writes itself, in small runs.

#include "server/store/sqlite/identities.hpp"
#include "server/store/sqlite/schema.hpp"
#include "server/store/sqlite/statements.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

namespace phi::testing {

using namespace phi::store;

inline const identity_limits small_runs{
  .generation = 2000, .fan_in = 3, .sorted_at_once = 500, .filter_bytes = 8 * sizeof(block_filter)};

/// A database whose only writer is the test.
struct written_file {
  explicit written_file(const std::string& file, identity_limits limits = small_runs) {
    db.open(file, sqlite_connection::access::read_write);
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = OFF");
    migrate(db);
    known.emplace(db, limits);
    row.emplace(db, sql::insert_event);
    last_seq = known->last_seq();
  }
  ~written_file() {
    row.reset();
    known.reset();
  }

  bool put(const digest& one) {
    if (!known->add(one))
      return false;
    row->bind(1, int64_t{1}).bind_blob(2, one.data(), one.size());
    for (int i = 3; i <= 13; ++i)
      row->bind_null(i);
    row->bind(14, ++last_seq).execute();
    return true;
  }
  void commit(size_t events) {
    known->make_runs(events);
    db.run("COMMIT");
    known->settled(last_seq);
  }
  /// With the identities from number `first` on, some hundred in a transaction.
  void fill(uint64_t first, uint64_t behind);
  /// One with several blocks.
  identity_run large_run() {
    for (auto& run : identity_tables{db}.runs())
      if (run.blocks() > 4)
        return run;
    throw std::logic_error("all runs are small");
  }
  void roll_back() {
    db.run("ROLLBACK");
    known->forgotten();
    last_seq = known->last_seq();
  }
  int64_t number(std::string_view sql) {
    statement ask{db, sql};
    return ask.step() ? ask.integer(0) : -1;
  }
  bool agrees() {
    auto all = compare_identities(db);
    return std::all_of(all.begin(), all.end(),
                       [](const auto& one) { return one.rows == one.derived; });
  }

  sqlite_connection db;
  std::optional<identities> known;
  std::optional<statement> row;
  int64_t last_seq = 0;
};

/// Of three kinds: digests, times with a counter as of UUIDv7, and such that begin alike.
inline digest identity_of(uint64_t number) {
  digest out{};
  auto put = [&](size_t at, uint64_t value) {
    for (size_t i = 0; i < 8; ++i)
      out[at + i] = static_cast<uint8_t>(value >> (56 - 8 * i));
  };
  auto mixed = (number + 1) * 0x9e3779b97f4a7c15ULL;
  put(0, number % 3 == 0 ? mixed ^ mixed >> 31 : number % 3 == 1 ? number : 7);
  put(8, number % 3 == 1 ? 43 : number + 1);
  return out;
}

inline void written_file::fill(uint64_t first, uint64_t behind) {
  for (; first < behind; first += 500) {
    db.run("BEGIN");
    for (uint64_t i = first; i < std::min(first + 500, behind); ++i)
      put(identity_of(i));
    commit(500);
  }
}

} // namespace phi::testing
