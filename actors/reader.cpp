#include "actors/reader.hpp"

namespace phi {

reader_actor::behavior_type reader_behavior(reader_actor::stateful_pointer<reader_state> self,
                                            child_identity who, reader_port_ptr port) {
  set_up_child(self, std::move(who));
  auto& state = self->state;
  state.port = std::move(port);
  std::string trouble;
  {
    doing now{*state.who.activity, "opening the database"};
    trouble = state.port->open();
  }
  if (!trouble.empty())
    fail_to_start(self, trouble);
  return handlers(
    self, [](atom::stop, const stop_order&) { fault_point("reader.stop"); },
    [self](atom::release, const release_order&) {
      fault_point("reader.release");
      self->state.port->close();
      leave(self, {.did = {{"questions", self->state.answered}}});
    },
    [self](atom::ping) {
      fault_point("reader.ping");
      return pong_of(self->state.who);
    },
    [self](atom::status) {
      const auto& state = self->state;
      return status_of(self, {.doing = "idle",
                              .progress = state.who.activity->progress(),
                              .gauges = {{"questions", state.answered}}});
    },
    [self](atom::adopt, const config_ptr& settings) {
      self->state.port->adopt(*settings);
      return pong_of(self->state.who);
    },
    [self](atom::ask, const asked_query_ptr& question) {
      auto& state = self->state;
      doing now{*state.who.activity, "answering a question"};
      fault_point("reader.ask");
      question->reply.answer(state.port->answer(question->what));
      ++state.answered;
    });
}

} // namespace phi
