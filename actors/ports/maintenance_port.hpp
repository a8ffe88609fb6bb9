#pragma once
/// What the maintenance actor needs of a database.

#include "actors/ports/work_watch.hpp"
#include "config/config.hpp"
#include "protocol/outcome.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace phi {

/// One connection of its own. Used by one thread.
class maintenance_port {
public:
  virtual ~maintenance_port() = default;

  /// Whatever takes long from now on looks there. Called before the first use, again after the
  /// actor died.
  virtual void watched_by(work_watch_ptr) {}

  struct done {
    std::string did;     ///< for the log; empty: nothing was to be done
    std::string warning; ///< what somebody should look at
    outcome ended;       ///< a failure: something could not be done now
    /// What the lines of rows that are not counted take, with those that are deleted and stay.
    uint64_t uncounted_bytes = 0;
  };
  /// Partitions, retention, repair of the counts: one step, which may take minutes. Connects when
  /// it must. Throws nothing.
  virtual done step() = 0;

  struct counted {
    std::string did;   ///< for the log; empty: nothing that is worth a line
    bool more = false; ///< there is more to do at once
    outcome ended;     ///< a failure: it cannot be done now
  };
  /// Counts events that only rows hold yet: a part of what there is. Connects when it must. Throws
  /// nothing.
  virtual counted count() = 0;

  virtual void apply_settings(const config& settings) = 0;

  /// No step follows soon: gives the connection back.
  virtual void close() = 0;
};

using maintenance_port_ptr = std::shared_ptr<maintenance_port>;

} // namespace phi
