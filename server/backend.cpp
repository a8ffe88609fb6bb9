#include "server/backend.hpp"

#include "actors/status_json.hpp"
#include "config/defaults.hpp"

#include <string>

namespace phi {

backend::backend(std::shared_ptr<current_actors> actors, const health_board* board)
  : actors_(std::move(actors)),
    board_(board),
    gate_(defaults::questions_waiting) {}

void backend::submit(ingest_turn_ptr turn) {
  tell_from_outside(actors_->get<stats_actor>(), atom::ingest_v, std::move(turn));
}

void backend::ask(asked_ptr<reader_query> question) {
  if (admit(question))
    tell_from_outside(actors_->get<reader_actor>(), atom::ask_v, std::move(question));
}

void backend::ask(asked_ptr<inspection_task> task) {
  if (admit(task))
    tell_from_outside(actors_->get<inspector_actor>(), atom::ask_v, std::move(task));
}

void backend::ask(asked_ptr<spool_task> task) {
  ask_if_there<spool_actor>(std::move(task),
                            "there is no spool: it takes events only while PostgreSQL is away"
                            " (stats.storage, spool.enabled)");
}

void backend::ask(asked_ptr<cluster_task> task) {
  ask_if_there<membership_actor>(std::move(task),
                                 "this instance is alone: several share one database with"
                                 " stats.storage = \"postgres\"");
}

void backend::ask(asked_ptr<health_query> question) {
  auto view = health();
  // Who counts is the one who ails: the rest is told without it.
  for (const auto& cause : view.causes)
    if (cause.who == actor_name::stats && cause.kind != cause_kind::degraded)
      return question->reply.answer(
        {.body = health_json({}, texts_of(view.causes, question->question.in_full))});
  question->question.causes = std::move(view.causes);
  tell_urgent_from_outside(actors_->get<stats_actor>(), atom::ask_v, std::move(question));
}

void backend::ask(asked_ptr<service_query> question) {
  if (admit(question))
    tell_urgent_from_outside(actors_->get<admin_actor>(), atom::ask_v, std::move(question));
}

health_view backend::health() const {
  return board_ ? board_->read(clock::now()) : health_view{};
}

/// Else it is answered.
bool backend::admit(const std::shared_ptr<question_duty>& question) {
  if (gate_.admit(question))
    return true;
  question->reply.answer(
    {error_code::too_many_questions,
     std::to_string(defaults::questions_waiting) + " questions wait already; ask again later",
     {}});
  return false;
}

/// Of an actor that is only there with PostgreSQL.
template <class Actor, class Question>
void backend::ask_if_there(asked_ptr<Question> question, const char* otherwise) {
  auto actor = actors_->get<Actor>();
  if (!actor)
    return question->reply.answer({error_code::invalid_query, otherwise, {}});
  tell_from_outside(actor, atom::ask_v, std::move(question));
}

} // namespace phi
