#pragma once
/// The hot path from the event loops, and from the operator's console, to the actors.

#include "actors/current_actors.hpp"
#include "actors/health_board.hpp"
#include "actors/ports/http_port.hpp"
#include "actors/questions.hpp"

#include <memory>

namespace phi {

class backend : public backend_port {
public:
  /// `board`: null, or what outlives the actors.
  backend(std::shared_ptr<current_actors> actors, const health_board* board);

  void submit(ingest_turn_ptr turn) override;
  void ask(asked_ptr<reader_query> question) override;
  void ask(asked_ptr<inspection_task> task) override;
  void ask(asked_ptr<spool_task> task) override;
  void ask(asked_ptr<cluster_task> task) override;
  void ask(asked_ptr<health_query> question) override;
  void ask(asked_ptr<service_query> question) override;
  health_view health() const override;

private:
  bool admit(const std::shared_ptr<question_duty>& question);
  template <class Actor, class Question>
  void ask_if_there(asked_ptr<Question> question, const char* otherwise);

  std::shared_ptr<current_actors> actors_;
  const health_board* board_;
  question_gate gate_;
};

} // namespace phi
