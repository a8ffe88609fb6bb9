#pragma once
/// Makes one run out of sorted parts, in slices, so that nobody waits for the whole of it.

#include "server/store/sqlite/identity_run.hpp"

#include <memory>

namespace phi::store {

/// Digests in ascending order.
class sorted_digests {
public:
  virtual ~sorted_digests() = default;
  /// Those that come next; empty: there are no more. Good until it is asked again. May throw
  /// what reading does.
  virtual std::span<const digest> more() = 0;
};

/// Of memory: they are sorted when they are wanted.
std::unique_ptr<sorted_digests> sorted_in_memory(std::vector<digest> unsorted);

/// Of a run, which must outlive it, as must its tables. A block at a time.
std::unique_ptr<sorted_digests> sorted_in_run(identity_tables& tables, const identity_run& run);

class run_merge {
public:
  /// `into`: number, level and last row of the run to make. No digest may be in two parts.
  run_merge(identity_tables& tables, identity_run into,
            std::vector<std::unique_ptr<sorted_digests>> parts);

  /// Reads and writes about so many more. True: the run is whole and written.
  bool step(size_t digests);
  /// Without filters: they are on disk.
  identity_run& made() { return made_; }

private:
  struct part {
    std::unique_ptr<sorted_digests> from;
    std::span<const digest> left;
  };

  void take_up(part& next);
  void take_smallest();
  void put_block();
  void put_filters();

  identity_tables& tables_;
  identity_run made_;
  std::vector<part> waiting_; ///< not looked into yet
  std::vector<part> parts_;   ///< a heap, the one with the smallest digest in front
  std::vector<digest> block_;
  std::vector<block_filter> filters_; ///< of the last blocks
};

} // namespace phi::store
