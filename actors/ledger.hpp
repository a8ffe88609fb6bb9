#pragma once
/// Keeps the ledger. Each event enters once (`receive`) and leaves the queue once (`settle`,
/// `refuse`); so the identity holds after every call.

#include "protocol/ledger.hpp"

namespace phi {

class ledger {
public:
  /// `valid` events entered the queue; `invalid` ones were refused by their form.
  void receive(uint64_t valid, uint64_t invalid) {
    counts_.received += valid + invalid;
    counts_.in_queue += valid;
    counts_.rejected += invalid;
  }

  /// Events that were in the queue are committed, or known already.
  void settle(uint64_t stored, uint64_t duplicates) {
    counts_.in_queue -= stored + duplicates;
    counts_.stored += stored;
    counts_.duplicates += duplicates;
  }

  /// Events that were in the queue are given up, and their sender is told.
  void refuse(uint64_t events) {
    counts_.in_queue -= events;
    counts_.rejected += events;
  }

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
  void drop(uint64_t events) { refuse(events); }

  const ledger_counts& counts() const { return counts_; }

private:
  /// More have been on local disk than were counted: their senders were told that nobody knows.
  void find(uint64_t events) {
    if (events > counts_.spooled)
      recover(events - counts_.spooled);
  }

  ledger_counts counts_;
};

} // namespace phi
