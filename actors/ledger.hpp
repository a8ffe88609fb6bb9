#pragma once
/// Keeps the ledger. Each event enters once (`receive`) and leaves the queue once (`settle`,
/// `refuse`); so the identity holds after every call.

#include "protocol/errors.hpp"
#include "protocol/ledger.hpp"
#include "protocol/names.hpp"
#include "protocol/status.hpp"

#include <array>
#include <vector>

namespace phi {

/// As which rejection an error counts that a sender is told.
constexpr rejection rejection_for(error_code why) {
  switch (why) {
    case error_code::overloaded: return rejection::overloaded;
    case error_code::stopping: return rejection::stopping;
    case error_code::spool_full:
    case error_code::spool_failed: return rejection::spool_unavailable;
    case error_code::outcome_unknown: return rejection::outcome_unknown;
    case error_code::refused_by_store: return rejection::refused_by_store;
    default: return rejection::store_unavailable;
  }
}

class ledger {
public:
  /// `valid` events entered the queue; `invalid` ones were refused by their form.
  void receive(uint64_t valid, uint64_t invalid) {
    counts_.received += valid + invalid;
    counts_.in_queue += valid;
    reject(invalid, rejection::invalid);
  }

  /// Events that were in the queue are committed, or known already.
  void settle(uint64_t stored, uint64_t duplicates) {
    counts_.in_queue -= stored + duplicates;
    counts_.stored += stored;
    counts_.duplicates += duplicates;
  }

  /// Events that were in the queue are given up, and their sender is told why.
  void refuse(uint64_t events, error_code why) { give_up(events, rejection_for(why)); }

  /// Events that were in the queue are on local disk.
  void spool(uint64_t events) {
    counts_.in_queue -= events;
    counts_.spooled += events;
  }

  /// Events of an earlier run were found on local disk.
  void recover(uint64_t events) {
    counts_.received += events;
    counts_.spooled += events;
  }

  /// Events that were on local disk are committed, or known already.
  void replay(uint64_t stored, uint64_t duplicates) {
    find(stored + duplicates);
    counts_.spooled -= stored + duplicates;
    counts_.stored += stored;
    counts_.duplicates += duplicates;
  }

  /// Events that were on local disk stay there: the database will not have them.
  void set_aside(uint64_t events) {
    find(events);
    counts_.spooled -= events;
    counts_.set_aside += events;
  }

  /// Events that were set aside are to be tried once more.
  void requeue(uint64_t events) {
    counts_.set_aside -= events;
    counts_.spooled += events;
  }

  /// The service's own events that were in the queue are given up: nobody is told but the log.
  void drop(uint64_t events) { give_up(events, rejection::own); }

  const ledger_counts& counts() const { return counts_; }

  /// How many were rejected for which reason; together they are `counts().rejected`.
  std::vector<counted> rejected() const {
    std::vector<counted> out;
    for (auto why : rejections)
      out.push_back({std::string{to_string(why)}, rejected_[static_cast<size_t>(why)]});
    return out;
  }

private:
  void give_up(uint64_t events, rejection why) {
    counts_.in_queue -= events;
    reject(events, why);
  }

  void reject(uint64_t events, rejection why) {
    counts_.rejected += events;
    rejected_[static_cast<size_t>(why)] += events;
  }

  /// More have been on local disk than were counted: their senders were told that nobody knows.
  void find(uint64_t events) {
    if (events > counts_.spooled)
      recover(events - counts_.spooled);
  }

  ledger_counts counts_;
  std::array<uint64_t, std::size(rejections)> rejected_{};
};

} // namespace phi
