#pragma once
/// What the store actor needs of a database.

#include "actors/ports/work_watch.hpp"
#include "config/config.hpp"
#include "protocol/ingest.hpp"
#include "protocol/outcome.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace phi {

/// One writing connection. Used by one thread; `activity` by any.
class store_port {
public:
  virtual ~store_port() = default;

  /// Whatever takes long from now on looks there. Called before the first use, again after the
  /// actor died.
  virtual void watched_by(work_watch_ptr) {}

  /// Opens the database, migrates it, and says what was found. Blocks up to the busy time-out.
  virtual outcome open() = 0;

  /// One transaction: events, and what makes that each counts once. Never throws; blocks up to the
  /// busy time-out. Asks `batch.begin_commit()` right before COMMIT and rolls back when that says
  /// no.
  virtual commit_result commit(commit_batch& batch) = 0;

  /// Whether it can store as it should; else why not, such as "phi.db has been moved away". In the
  /// thread that uses it.
  virtual outcome condition() const { return {}; }

  /// Tells the database that was opened last from all others, also from itself before a restore.
  /// Empty: none was opened yet. Any thread.
  virtual std::string database_id() const { return {}; }

  /// What can be put in order without a batch. About once a second, in the thread that uses it;
  /// takes a fraction of that.
  virtual void tidy_up() {}

  /// From now on these settings hold, as far as they can change while it is open.
  virtual void apply_settings(const config& settings) = 0;

  /// Writes everything out and closes. `out_of_reach`: what was acknowledged may not be found any
  /// more, for example because "phi.db has been moved away".
  virtual outcome close() = 0;

  /// What the connection is doing now, such as "COMMIT"; any thread.
  virtual std::string activity() const = 0;
};

using store_port_ptr = std::shared_ptr<store_port>;

} // namespace phi
