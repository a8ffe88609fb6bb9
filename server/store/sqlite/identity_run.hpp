#pragma once
/// A run of identities: immutable, sorted, in blocks of the database, each with a filter that says
/// of most digests that they are not in it. Runs are made from the rows, and can be made again as
/// far as rows are kept.

#include "protocol/event.hpp"
#include "server/store/sqlite/connection.hpp"
#include "server/store/sqlite/dead_rows.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace phi::store {

/// Digests of a block: 16 KiB, read as a whole.
inline constexpr size_t digests_a_block = 1024;

/// Filters that are stored in one row.
inline constexpr size_t filters_a_row = 8;

/// Where a digest belongs: in which part of a filter, and which bits of it. The same in all
/// filters, so that it is worked out once for all runs.
struct filter_key {
  explicit filter_key(const digest& key);

  size_t part;
  uint32_t low;
};

/// A split-block Bloom filter (Putze, Sanders, Singler 2007; the salts are those of Apache
/// Parquet's specification) over the digests of one block: 16 bits for each, so that one digest in
/// six hundred passes wrongly. With eleven runs and 11 bits a tenth of all new events read a block
/// in vain.
struct block_filter {
  static constexpr size_t parts = 64;

  void add(const filter_key& key);
  bool may_contain(const filter_key& key) const;

  uint32_t words[parts][8] = {};
};

/// A run, and as much of it as is held in memory.
struct identity_run {
  int64_t number = 0;
  int64_t level = 0; ///< merged so many times
  int64_t digests = 0;
  int64_t last_seq = 0;              ///< rows up to here are in this run, or in another one
  std::vector<digest> fences;        ///< what each block begins with
  std::vector<block_filter> filters; ///< of each block; empty: they are read when they are needed
  bool damaged = false;              ///< of use only to take over what can be read of it

  size_t blocks() const { return fences.size(); }
  /// The one that a digest would be in; nothing: none. Digests of SHA-256 are spread evenly, so it
  /// is looked for from where it is likely to be.
  std::optional<size_t> block_of(const digest& key) const;
  /// Has the processor fetch what `contains` looks at first.
  void prefetch(const digest& key, const filter_key& at) const;
  /// As many as `digests` fill: else it is damaged.
  size_t blocks_written() const {
    return (static_cast<size_t>(digests) + digests_a_block - 1) / digests_a_block;
  }
};

/// A block, a filter or an index of a run that does not hold what was written.
class damaged_run : public std::runtime_error {
public:
  /// `part`: such as "block"; `fault`: such as "is missing".
  damaged_run(int64_t run, const std::string& part, const std::string& fault)
    : std::runtime_error("the " + part + " of a run of identities " + fault),
      run_(run) {}
  int64_t run() const { return run_; }

private:
  int64_t run_;
};

/// The tables of the runs. Every function throws sqlite_error, those that read `damaged_run`.
class identity_tables {
public:
  explicit identity_tables(sqlite_connection& db);

  /// Of those that `runs` gives.
  std::set<int64_t> numbers();
  /// Those that are complete, oldest first, without filters. Also those that are damaged, as far as
  /// that is known.
  std::vector<identity_run> runs();
  void load_filters(identity_run& into);

  /// `at`: of the same digest.
  bool contains(const identity_run& run, const digest& key, const filter_key& at);
  std::vector<digest> block(const identity_run& run, size_t number);

  /// Remembers that a run is damaged. False: it is not on the list, or that was known.
  bool mark_damaged(int64_t run);
  struct found_block {
    size_t number = 0;
    std::vector<digest> digests; ///< empty: it is damaged
  };
  /// The first block from this number on that is there, of whatever run. Does not throw
  /// damaged_run.
  std::optional<found_block> find_block(int64_t run, size_t from);

  // A new one: its blocks and filters in order, and then itself.
  int64_t unused_number();
  void put_block(int64_t run, size_t number, std::span<const digest> digests);
  void put_filters(int64_t run, size_t first_block, std::span<const block_filter> filters);
  void put_run(const identity_run& run);

  /// Takes a run off the list; its blocks stay until they are swept up.
  void remove_run(int64_t number);

  /// Deletes up to `rows` blocks or filters of runs that are not on the list: while none is being
  /// made. How many; 0: nothing is left to delete, or what is cannot be found.
  int64_t sweep(int64_t rows);

private:
  std::vector<digest> fences_of(int64_t run);
  int64_t sweep(dead_rows& parts, std::string_view next, const std::set<int64_t>& kept,
                int64_t rows);
  std::optional<int64_t> next_id(std::string_view next, int64_t from);
  std::optional<int64_t> next_to_sweep(std::string_view next, int64_t from);
  std::optional<size_t> next_block(int64_t run, size_t from);
  std::string_view body_of(const identity_run& run, size_t number);
  bool block_contains(const identity_run& run, size_t number, const digest& key);
  bool filter_passes(const identity_run& run, size_t number, const filter_key& key);

  sqlite_connection& db_;
  statement get_block_, put_block_, get_filters_, put_filters_, put_run_;
  dead_rows dead_runs_, dead_blocks_, dead_filters_;
  bool cannot_sweep_ = false; ///< a page is lost that leads to others
};

} // namespace phi::store
