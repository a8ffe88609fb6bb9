#include "actors/reader.hpp"

#include "actors/questions.hpp"
#include "config/defaults.hpp"

namespace phi {
namespace {

using self_ptr = reader_actor::stateful_pointer<reader_state>;

/// "reader.ask" and "inspector.ask".
void fault_of([[maybe_unused]] self_ptr self, [[maybe_unused]] const char* place) {
#ifdef PHI_FAULT_INJECTION
  fault_point(self->state.who.name + std::string{place});
#endif
}

duration query_timeout_of(const config& settings) {
  return std::chrono::milliseconds{settings.stats.query_timeout_ms};
}

void answer(self_ptr self, asked_query& question) {
  auto& state = self->state;
  activity_scope scope{*state.who.activity, "answering a question"};
  question_watch watch{*state.who.activity, question, state.query_timeout};
  // Its asker may have gone, or its time be over, while it waited for those before it.
  if (auto why = watch.check(); why != end_cause::none) {
    ++state.dropped;
    return question.reply.answer(ended_answer(why));
  }
  fault_of(self, ".ask");
  auto found = state.port->answer(question.what, watch);
  state.trouble = found.error == error_code::questions_unavailable ? found.detail : "";
  state.trouble_at = now_of(self);
  question.reply.answer(std::move(found));
  ++state.answered;
}

actor_status current_status(self_ptr self) {
  const auto& state = self->state;
  // The next question tries again; an old failure says nothing of now.
  bool fresh = now_of(self) - state.trouble_at < defaults::question_trouble_shown;
  return status_of(self, {.doing = "idle",
                          .progress = state.who.activity->progress(),
                          .gauges = {{"questions", state.answered}, {"dropped", state.dropped}},
                          .degraded = fresh ? state.trouble : "",
                          .ails = "the database cannot be asked"});
}

} // namespace

reader_actor::behavior_type reader_behavior(reader_actor::stateful_pointer<reader_state> self,
                                            child_identity who, reader_port_ptr port,
                                            duration query_timeout) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  state.query_timeout = query_timeout;
  std::string trouble;
  {
    activity_scope scope{*state.who.activity, "opening the database"};
    trouble = state.port->open();
  }
  if (!trouble.empty())
    fail_to_start(self, trouble);
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
    [self](atom::ask, const asked_query_ptr& question) { answer(self, *question); });
}

} // namespace phi
