#pragma once
/// One actor on its own, under a supervisor that only remembers, on virtual time.

#include "actors/child.hpp"
#include "tests/support/quiet_supervisor.hpp"
#include "tests/support/virtual_time.hpp"

#include <caf/scoped_actor.hpp>

#include <memory>
#include <optional>
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

  /// What it answers; nothing if it has left.
  template <class Answer, class... Message>
  std::optional<Answer> ask(Message... message) {
    caf::scoped_actor asker{on.system};
    auto pending = asker->request(actor, std::chrono::seconds{1}, std::move(message)...);
    on.run();
    std::optional<Answer> out;
    pending.receive([&](const Answer& answer) { out = answer; }, [](const caf::error&) {});
    return out;
  }

  bool gone() { return !ask<actor_status>(atom::status_v); }
  actor_status status() { return ask<actor_status>(atom::status_v).value_or(actor_status{}); }

  virtual_system& on;
  std::shared_ptr<heard_by_supervisor> heard = std::make_shared<heard_by_supervisor>();
  activity_ptr seen_at = std::make_shared<activity>();
  supervisor_actor supervisor;
  Actor actor;
};

} // namespace phi::testing
