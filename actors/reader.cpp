#include "actors/reader.hpp"

#include "actors/questions.hpp"
#include "config/defaults.hpp"

namespace phi {
namespace {

template <class Actor>
using self_of = typename Actor::template stateful_pointer<reader_state>;

/// "reader.ask" and "inspector.ask".
template <class Self>
void fault_of([[maybe_unused]] Self self, [[maybe_unused]] const char* place) {
#ifdef PHI_FAULT_INJECTION
  fault_point(self->state.who.name + std::string{place});
#endif
}

duration query_timeout_of(const config& settings) {
  return std::chrono::milliseconds{settings.stats.query_timeout_ms};
}

template <class Self, class Question>
void answer(Self self, asked<Question>& asked) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "answering a question"};
  question_watch watch{*state.who.activity, asked, is_long(asked.question), state.query_timeout};
  // Its asker may have gone, or its time be over, while it waited for those before it.
  if (auto why = watch.check(); why != end_cause::none) {
    ++state.dropped;
    return asked.reply.answer(ended_answer(why));
  }
  auto began = clock::now();
  fault_of(self, ".ask");
  auto found = state.port->answer(asked.question, watch);
  state.asked =
    found.error == error_code::questions_unavailable ? outcome::failure(found.detail) : outcome{};
  state.asked_at = now_of(self);
  asked.reply.answer(std::move(found));
  ++state.answered;
  state.times.add(clock::now() - began);
}

template <class Self>
actor_status current_status(Self self) {
  const auto& state = self->state;
  // The next question tries again; an old failure says nothing of now.
  bool fresh = now_of(self) - state.asked_at < defaults::question_trouble_shown;
  return status_of(self, {.doing = "idle",
                          .idle = true,
                          .progress = state.who.activity->progress(),
                          .gauges = {{"questions", state.answered}, {"dropped", state.dropped}},
                          .degraded = fresh ? state.asked.why() : "",
                          .ails = "the database cannot be asked",
                          .code = ailment::questions_fail,
                          .times = {{times_name::answer, state.times}}});
}

template <class Actor, class Question>
typename Actor::behavior_type answering_behavior(self_of<Actor> self, child_identity who,
                                                 reader_port_ptr port, duration query_timeout) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  state.query_timeout = query_timeout;
  outcome opened;
  {
    activity_scope scope{*state.who.activity, "opening the database"};
    opened = state.port->open();
  }
  if (!opened)
    fail_to_start(self, opened.why());
  return handlers(
    self, [self](atom::stop, const stop_order&) { fault_of(self, ".stop"); },
    [self](atom::release, const release_order&) {
      fault_of(self, ".release");
      self->state.port->close();
      leave(self, {.did = {{"questions", self->state.answered}}});
    },
    [self](atom::ping) {
      fault_of(self, ".ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) { return current_status(self); },
    [self](atom::apply, const config_ptr& settings) {
      self->state.port->apply_settings(*settings);
      self->state.query_timeout = query_timeout_of(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::ask, const asked_ptr<Question>& asked) { answer(self, *asked); });
}

} // namespace

reader_actor::behavior_type reader_behavior(self_of<reader_actor> self, child_identity who,
                                            reader_port_ptr port, duration query_timeout) {
  return answering_behavior<reader_actor, reader_query>(self, std::move(who), std::move(port),
                                                        query_timeout);
}

inspector_actor::behavior_type inspector_behavior(self_of<inspector_actor> self, child_identity who,
                                                  reader_port_ptr port, duration query_timeout) {
  return answering_behavior<inspector_actor, inspection_task>(self, std::move(who), std::move(port),
                                                              query_timeout);
}

} // namespace phi
