#pragma once
/// The queue of requests before the store, its bounds, and the batches cut from it. No actor, no
/// clock: times are given.

#include "protocol/ingest.hpp"
#include "protocol/time.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace phi {

/// A batch and who waits for it, in the order of its requests. The requests themselves belong to
/// the store until it has answered: they must only be read meanwhile.
struct cut_batch {
  enum class fate : uint8_t {
    awaited,   ///< somebody waits for the answer
    unawaited, ///< taken already: it must be stored
    given_up,  ///< answered before the store did: it must not be stored any more
    unknown,   ///< answered "outcome unknown": the commit was under way
  };

  commit_batch_ptr batch;
  std::vector<reply_sink_ptr> waiting; ///< null where nobody waits (any more)
  std::vector<fate> fates;
};

/// A request that leaves the queue unstored, and who waits for it.
struct turned_away {
  ingest_request request;
  reply_sink_ptr waiting;
};

class batch_queue {
public:
  struct limits {
    size_t max_events = 0; ///< waiting and under way together
    size_t max_bytes = 0;
    size_t batch_events = 0; ///< of one batch; a larger request is a batch of its own
  };

  /// `run`: 64 bits that tell this run of this process from all others; part of a batch's id.
  explicit batch_queue(limits bounds, uint64_t run = 0) : bounds_(bounds), run_(run) {}

  /// New bounds: what waits already stays, even over them.
  void set_limits(limits bounds) { bounds_ = bounds; }

  /// Whether a request of this size may come in. A request is taken whole or not at all; one that
  /// is larger than the bounds has its turn when there is nothing else.
  bool has_room(size_t events, size_t bytes) const {
    return events_ == 0
           || (events_ + events <= bounds_.max_events && bytes_ + bytes <= bounds_.max_bytes);
  }

  void push(ingest_request request, reply_sink_ptr waiting, time_point now);

  /// Cuts the next batch, of `most` events if the first request is not larger. It counts against
  /// the bounds until `done`.
  cut_batch cut(size_t most = SIZE_MAX);

  /// Events of the first request; 0 when there is none.
  size_t first_events() const { return queue_.empty() ? 0 : queue_.front().request.events.size(); }

  /// The batch has left: its events no longer count against the bounds.
  void done(const commit_batch& batch);

  /// The store did not commit this batch and is done with it. What nobody waits for goes to the
  /// back of the queue, so that it does not keep a refusal from who waits; the rest leaves it.
  void put_back(cut_batch failed, time_point now);

  /// The same batch without the requests that were given up, which leave the queue: what is still
  /// to be stored. A copy, for the store may read the original meanwhile.
  cut_batch without_given_up(const cut_batch& cut);

  /// Takes all waiting requests that somebody waits for out of the queue.
  std::vector<turned_away> take_awaited();

  /// Takes the service's own events out of the queue; gives how many they were.
  size_t drop_own();

  bool empty() const { return queue_.empty(); }
  size_t waiting_events() const { return waiting_events_; } ///< not yet in a batch
  size_t events() const { return events_; }                 ///< with those under way
  size_t bytes() const { return bytes_; }
  bool someone_waits() const { return awaited_ > 0; }
  bool only_own() const; ///< whether nothing else waits than the service's own events
  bool full_batch() const { return waiting_events_ >= bounds_.batch_events; }

  /// Since when the oldest request waits; nothing when the queue is empty.
  std::optional<time_point> oldest() const;

private:
  struct item {
    ingest_request request;
    reply_sink_ptr waiting;
    time_point since;
  };

  void forget(const ingest_request& request);

  limits bounds_;
  uint64_t run_;
  std::deque<item> queue_;
  size_t waiting_events_ = 0;
  size_t events_ = 0;
  size_t bytes_ = 0;
  size_t awaited_ = 0;
  uint64_t next_number_ = 1;
};

} // namespace phi
