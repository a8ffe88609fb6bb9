#pragma once
/// Who is who now: the handles by which actors, and those outside of them, find each other. They
/// change when an actor is restarted.

#include "protocol/actors.hpp"

#include <mutex>
#include <tuple>

namespace phi {

/// Thread-safe. A handle to an actor with a thread of its own that outlives the actor system would
/// hang it: `clear` comes before the end of the system.
class current_actors {
public:
  /// Null while it is not there.
  template <class Actor>
  Actor get() const {
    std::lock_guard lock{mutex_};
    return std::get<Actor>(actors_);
  }

  template <class Actor>
  void set(Actor actor) {
    std::lock_guard lock{mutex_};
    std::get<Actor>(actors_) = std::move(actor);
  }

  void clear() {
    std::lock_guard lock{mutex_};
    actors_ = {};
  }

private:
  mutable std::mutex mutex_;
  std::tuple<stats_actor, reader_actor, inspector_actor, spool_actor, maintenance_actor,
             membership_actor, store_actor, watchdog_actor, admin_actor>
    actors_;
};

} // namespace phi
