#pragma once
/// The parts of STATS, each in a file of its own: taking in, stopping and telling (stats.cpp), the
/// batches and the store (stats_batches.cpp), the spool (stats_spool.cpp). For stats*.cpp only.

#include "actors/stats.hpp"

#include <map>
#include <string>
#include <vector>

namespace phi::counting {

using self_ptr = stats_actor::stateful_pointer<stats_state>;
using fate = cut_batch::fate;
using stage = stats_state::stage;

/// Answers gathered by sink, so that each event loop gets one call.
class answers {
public:
  void add(const reply_sink_ptr& sink, ticket to, ingest_outcome outcome) {
    by_sink_[sink].push_back({to, std::move(outcome)});
  }
  /// Sends what was added, and begins anew.
  void deliver() {
    for (auto& [sink, list] : std::exchange(by_sink_, {}))
      sink->deliver(std::move(list));
  }
  ~answers() { deliver(); } // the net: whatever ends a handler, nobody stays without an answer

private:
  std::map<reply_sink_ptr, std::vector<ingest_answer>> by_sink_;
};

inline uint32_t event_count(const ingest_request& request) {
  return static_cast<uint32_t>(request.events.size());
}

/// With the time after which it is worth to try again.
ingest_outcome refusal(const stats_state& state, error_code why);

/// Whether live events wait until there is credit for them: the spool is being emptied, and no stop
/// has begun.
bool credit_holds(self_ptr self);

/// Commits at once when somebody waits, a batch is full, or it is time; else sets the timer. Leaves
/// when that is all there was to do.
void maybe_commit(self_ptr self);

/// The batch under way has its end: what the store says of it, or what we say for it.
void end_batch(self_ptr self, const commit_result& result);

/// What the store says. With a spool, what it refuses goes there.
void settle_batch(self_ptr self, const commit_result& result);

/// Nobody may wait for the batch under way any longer. Those who do are answered: refused when the
/// store can still be kept from committing it, "outcome unknown" when not. The requests stay the
/// store's until it answers.
void give_up_batch(self_ptr self, error_code why);

/// The timer of the batch under way has come.
void check_overdue(self_ptr self);

/// The store was restarted, or is gone for good (null).
void attach_store(self_ptr self, store_actor store);

/// The database does not take the batch, or nobody knows whether it did: the spool gets it. What
/// the store may still do with it does no harm: the batch is replayed under its own id.
/// `from_now`: at_both while the store may still answer, else at_spool.
void hand_to_spool(self_ptr self, stage from_now);

/// From now on batches go to the spool, until the database is known to be back.
void divert_to_spool(self_ptr self, const std::string& why);

/// What the spool says.
void settle_spooled(self_ptr self, const spool_result& result);

/// Events have left the spool for the database, which therefore is there.
void take_replayed(self_ptr self, const replay_result& result);

/// The spool was restarted, or is gone for good (null).
void attach_spool(self_ptr self, spool_actor spool);

} // namespace phi::counting
