#pragma once
/// What the spool actor needs of a local disk.

#include "actors/ports/work_watch.hpp"
#include "config/config.hpp"
#include "protocol/ingest.hpp"
#include "protocol/outcome.hpp"
#include "protocol/questions.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi {

struct spool_depth {
  uint64_t batches = 0; ///< waiting for the database
  uint64_t events = 0;
  uint64_t bytes = 0;
  uint64_t set_aside = 0; ///< batches that no further try would store, or that are damaged
  uint64_t aside_events = 0;
  uint64_t deferred = 0; ///< batches of these that are tried again by themselves
};

/// How far a check of all batches has come.
struct spool_progress {
  struct damaged_batch {
    int64_t number = 0;
    int64_t events = 0;
    std::string why;
  };

  int64_t last = -1;   ///< the number of the last batch that it is about; -1: it has not begun
  int64_t checked = 0; ///< all up to this number are read
  int64_t batches = 0; ///< of those that were there
  int64_t events = 0;
  std::vector<damaged_batch> damaged;
};

/// A durable queue of batches. Used by one thread.
class spool_port {
public:
  virtual ~spool_port() = default;

  /// Whatever takes long from now on looks there. Called before the first use, again after the
  /// actor died.
  virtual void watched_by(work_watch_ptr) {}

  /// Opens it. A damaged file is set aside, and what can be read of it is taken over. Called
  /// again after the actor died.
  virtual outcome open() = 0;

  /// Events that the first opening found; afterwards 0.
  virtual uint64_t recovered() = 0;

  /// On disk when it returns without an error. `spool_full`: it is not, for there is no room;
  /// `spool_failed`: it is not, for another reason; `outcome_unknown`: nobody knows. A batch that
  /// is there already stays there once.
  virtual spool_result append(const commit_batch& batch) = 0;

  /// The oldest batches but for the first `skip`, `most` at the most and within a bound of events,
  /// as parts of one, to be committed again under their own ids; null: there is none. A damaged one
  /// is set aside.
  virtual commit_batch_ptr front(size_t most, size_t skip) = 0;

  /// The batch set aside that is to be tried again, and was tried last the longest ago; null: there
  /// is none. It is `suspect`.
  virtual commit_batch_ptr deferred() = 0;

  /// What was read last is committed but for the events that were `refused`, which are kept apart.
  /// After a failure all of it is still there.
  virtual outcome remove_front(const std::vector<refused_event>& refused) = 0;

  /// Keeps a batch apart, by its number. `try_again`: `deferred` gives it again.
  /// After a failure it is still where it was.
  virtual outcome set_aside(uint64_t number, const std::string& why, bool try_again) = 0;

  /// Does a step of the task, of some 20 ms at the most, so that batches which come and go
  /// meanwhile have their turn. Nothing: there is more to do; called again with the same `so_far`,
  /// it goes on. Never throws.
  virtual std::optional<query_answer> answer(const spool_task& task, spool_progress& so_far) = 0;

  virtual spool_depth depth() const = 0;

  /// Whether it is whole; else why not, such as "12 events are set aside".
  virtual outcome condition() const = 0;

  virtual void apply_settings(const config& settings) = 0;

  /// `out_of_reach`: what it has acknowledged may not be found any more.
  virtual outcome close() = 0;
};

using spool_port_ptr = std::shared_ptr<spool_port>;

} // namespace phi
