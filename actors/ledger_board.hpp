#pragma once
/// Where STATS shows the ledger to other threads, so that it survives STATS.

#include "protocol/ledger.hpp"

#include <mutex>
#include <optional>

namespace phi {

/// Thread-safe.
class ledger_board {
public:
  void write(const ledger_counts& counts) {
    std::lock_guard lock{mutex_};
    counts_ = counts;
  }

  /// As last shown; nothing: never.
  std::optional<ledger_counts> read() const {
    std::lock_guard lock{mutex_};
    return counts_;
  }

private:
  mutable std::mutex mutex_;
  std::optional<ledger_counts> counts_;
};

} // namespace phi
