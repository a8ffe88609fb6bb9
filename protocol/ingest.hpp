#pragma once
/// Events on their way from a request to the store.

#include "protocol/errors.hpp"
#include "protocol/event.hpp"
#include "protocol/reply.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace phi {

/// The events of one request. `awaited` is false for the service's own events: nobody waits for
/// them, and they count as taken from the start.
struct ingest_request {
  ticket to = 0;
  bool awaited = true;
  bool atomic = false;   ///< all of it is stored, or nothing
  uint32_t rejected = 0; ///< events of the same request that were not valid
  size_t bytes = 0;      ///< sum of the events' footprints
  std::vector<event> events;

  /// Takes the events in and sums their footprints up.
  void hold(std::vector<event> list) {
    for (const auto& e : list)
      bytes += e.footprint();
    events = std::move(list);
  }
};

/// Everything that one turn of an event loop took in: one message instead of one a request (the
/// difference is a factor of two in throughput). Destroyed with requests still in it, it answers
/// them `stopping`: nothing of them was stored.
class ingest_turn {
public:
  explicit ingest_turn(reply_sink_ptr replies) : replies(std::move(replies)) {}
  ingest_turn(const ingest_turn&) = delete;
  ingest_turn& operator=(const ingest_turn&) = delete;
  ~ingest_turn();

  reply_sink_ptr replies;
  std::vector<ingest_request> requests;
};

using ingest_turn_ptr = std::shared_ptr<ingest_turn>;

/// One transaction's worth of requests. The store reads the events; whoever gives up waiting
/// abandons the batch, and `phase` decides between the two once and for all: a batch is either
/// committed or was refused, never both.
class commit_batch {
public:
  enum class phase : uint8_t { open, committing, abandoned };

  /// Some of its requests, in order, with an id that tells them from all others of all instances.
  /// What has been committed under an id is never stored again.
  struct part {
    digest id{};
    size_t requests = 0;
    /// When the spool took it. Not stored any more once identities of that time have aged out: what
    /// another instance was sent as well would count twice. 0: stored whatever its age.
    int64_t taken_us = 0;
  };

  uint64_t number = 0;
  std::vector<part> parts; ///< one, but for what the spool replays together
  bool again = false;   ///< an earlier try of a part may have been committed: look before storing
  bool suspect = false; ///< it alone fails, again and again: whatever a statement says against it
                        ///< is said of its data, and the events at fault are looked for
  size_t events = 0;
  std::vector<ingest_request> requests;

  /// The store asks this right before COMMIT. False: roll back.
  bool begin_commit() { return leave_open(phase::committing); }

  /// True: the store will never commit it.
  bool abandon() { return leave_open(phase::abandoned); }

  /// Whether COMMIT was begun and nothing has been heard since.
  bool committing() const { return phase_.load() == phase::committing; }

  /// Whether somebody has given it up: work for it is in vain.
  bool abandoned() const { return phase_.load() == phase::abandoned; }

  /// The store failed before COMMIT and rolled back: the batch may be tried again.
  void reopen() { phase_.store(phase::open); }

private:
  bool leave_open(phase to) {
    auto expected = phase::open;
    return phase_.compare_exchange_strong(expected, to) || expected == to;
  }

  std::atomic<phase> phase_{phase::open};
};

using commit_batch_ptr = std::shared_ptr<commit_batch>;

/// What the store did with a batch.
struct commit_result {
  struct counts {
    uint32_t stored = 0;
    uint32_t duplicates = 0;
    uint32_t refused = 0; ///< see `commit_result::refused`
  };

  uint64_t number = 0;
  /// `store_unavailable`: nothing of it is stored; `outcome_unknown`: all of it, or nothing.
  error_code error = error_code::none;
  std::string detail;
  // With an error:
  bool reached = true;  ///< it is the database's own word; false: the way there failed
  bool passing = false; ///< it speaks of itself (locks, time-outs, no room), not of the data
  bool never = false;   ///< another try cannot help, the data are at fault
  std::vector<counts> requests; ///< parallel to commit_batch::requests
  /// In order; those that the database will never take. The rest of the batch is committed.
  std::vector<refused_event> refused;
  std::chrono::nanoseconds took{}; ///< the whole transaction
  /// Since the store was made: events with a value for which its day has no room in the counts.
  uint64_t counted_as_other = 0;
  /// Identities of deleted rows that the database knows no more.
  uint64_t identities_lost = 0;
};

/// What the spool did with a batch.
struct spool_result {
  uint64_t number = 0;
  error_code error = error_code::none; ///< see `spool_port::append`
  std::string detail;
};

/// Events on their way through the spool.
struct replay_result {
  uint64_t recovered = 0; ///< found in it at the start: left by an earlier run
  uint64_t stored = 0;
  uint64_t duplicates = 0;
  uint64_t set_aside = 0;          ///< kept on disk, and not tried again before somebody wants it
  uint64_t requeued = 0;           ///< were set aside, and wait for the database again
  std::chrono::nanoseconds took{}; ///< the commit of these
};

} // namespace phi
