#pragma once
/// One actor on its own, under a supervisor that only remembers, on virtual time.

#include "actors/child.hpp"
#include "tests/support/quiet_supervisor.hpp"
#include "tests/support/virtual_time.hpp"

#include <caf/scoped_actor.hpp>

#include <memory>
#include <utility>

namespace phi::testing {

template <class Actor>
struct lone_actor {
  template <class Behavior, class... Ports>
  lone_actor(virtual_system& on, const char* name, Behavior behavior, Ports... ports)
    : on(on),
      supervisor(on.keep(on.system.spawn(quiet_supervisor, heard))),
      actor(on.keep(on.system.spawn(behavior, child_identity{name, supervisor, seen_at},
                                    std::move(ports)...))) {
    on.run();
  }

  template <class... Message>
  void tell(Message... message) {
    tell_from_outside(actor, std::move(message)...);
    on.run();
  }

  /// Whether it has left; a dead actor does not answer.
  bool gone() {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(actor, std::chrono::seconds{1}, atom::status_v);
    on.run();
    bool out = false;
    pending.receive([](const actor_status&) {}, [&](const caf::error&) { out = true; });
    return out;
  }

  actor_status status() {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(actor, std::chrono::seconds{1}, atom::status_v);
    on.run();
    actor_status out;
    pending.receive([&](const actor_status& says) { out = says; }, [](const caf::error&) {});
    return out;
  }

  virtual_system& on;
  std::shared_ptr<heard_by_supervisor> heard = std::make_shared<heard_by_supervisor>();
  activity_ptr seen_at = std::make_shared<activity>();
  supervisor_actor supervisor;
  Actor actor;
};

} // namespace phi::testing
