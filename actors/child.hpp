#pragma once
/// What all actors under the supervisor have in common.

#include "actors/activity.hpp"
#include "actors/log.hpp"
#include "protocol/actors.hpp"
#include "protocol/errors.hpp"
#include "protocol/fault_point.hpp"

#include <string>

namespace phi {

/// Who an actor is and whom it reports to. Part of every actor's state.
struct child_identity {
  const char* name = "";
  supervisor_actor supervisor;
  activity_ptr activity;
};

/// Installs what every child needs. Called first in each behaviour function.
template <class Self>
void set_up_child(Self* self, child_identity who) {
  after_hand_over();
  self->state.who = std::move(who);
  name_actor(self->id(), self->state.who.name);
  die_of_exceptions_aloud(self, static_cast<uint8_t>(error_code::actor_failed));
}

/// Last words, then the end.
template <class Self>
void leave(Self* self, stopped_report report) {
  auto& state = self->state;
  report.actor = state.who.name;
  tell_urgent(self, state.who.supervisor, atom::stopped_v, std::move(report));
  self->quit();
}

/// Ends an actor that cannot start.
template <class Self>
void fail_to_start(Self* self, std::string why) {
  fail_with(self, static_cast<uint8_t>(error_code::start_failed), std::move(why));
}

/// `status` with what is the same for every actor.
template <class Self>
actor_status status_of(Self* self, actor_status status) {
  const auto& who = self->state.who;
  status.actor = who.name;
  status.mailbox = mailbox_size(self);
  status.last = who.activity->last_message();
  status.thread = who.activity->thread();
  return status;
}

inline pong pong_of(const child_identity& who) {
  return {who.activity->progress()};
}

} // namespace phi
