#include "actors/questions.hpp"

#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"

namespace phi {

bool is_long(query_kind kind) {
  return kind == query_kind::backup || kind == query_kind::verify;
}

query_answer ended_answer(end_cause why) {
  if (why == end_cause::stopping)
    return {error_code::stopping, "the service is stopping", {}};
  return {error_code::query_timeout,
          "it waited and ran longer than stats.query_timeout_ms; ask for a shorter range or fewer"
          " parts",
          {}};
}

bool question_gate::admit(const asked_query_ptr& question) {
  std::lock_guard lock{mutex_};
  if (waiting_.size() >= most_)
    waiting_.remove_if([](const std::weak_ptr<asked_query>& one) {
      auto alive = one.lock();
      return !alive || alive->abandoned();
    });
  if (waiting_.size() >= most_)
    return false;
  waiting_.push_back(question);
  return true;
}

question_watch::question_watch(activity& on, const asked_query& question, duration limit)
  : on_(on),
    question_(question),
    until_(question.asked_at
           + (is_long(question.what.kind) ? duration{defaults::inspection_timeout} : limit)) {}

end_cause question_watch::check() noexcept {
  fault_point(is_long(question_.what.kind) ? "inspector.look" : "reader.look");
  on_.check();
  auto now = clock::now();
  auto pressed = on_.pressed();
  // In a stop a question that is nearly done is worth its answer, a long one is not worth the wait.
  if (pressed == urge::at_once
      || (pressed == urge::stop
          && (is_long(question_.what.kind) || now - question_.asked_at > defaults::question_grace)))
    return end_cause::stopping;
  if (question_.abandoned())
    return end_cause::asker_gone;
  return now > until_ ? end_cause::out_of_time : end_cause::none;
}

} // namespace phi
