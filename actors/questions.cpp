#include "actors/questions.hpp"

#include "config/defaults.hpp"
#include "protocol/fault_point.hpp"

namespace phi {

query_answer ended_answer(end_cause why) {
  if (why == end_cause::stopping)
    return {error_code::stopping, "the service is stopping", {}};
  return {error_code::query_timeout,
          "it waited and ran longer than stats.query_timeout_ms; ask for a shorter range or fewer"
          " parts",
          {}};
}

bool question_gate::admit(const std::shared_ptr<question_duty>& question) {
  std::lock_guard lock{mutex_};
  if (waiting_.size() >= most_)
    waiting_.remove_if([](const std::weak_ptr<question_duty>& waiting) {
      auto alive = waiting.lock();
      return !alive || alive->abandoned();
    });
  if (waiting_.size() >= most_)
    return false;
  waiting_.push_back(question);
  return true;
}

question_watch::question_watch(activity& on, const question_duty& question, bool is_long,
                               duration limit)
  : on_(on),
    question_(question),
    is_long_(is_long),
    until_(question.asked_at + (is_long ? duration{defaults::inspection_timeout} : limit)) {}

end_cause question_watch::check() noexcept {
  fault_point(is_long_ ? "inspector.check" : "reader.check");
  on_.check();
  auto now = clock::now();
  auto pressed = on_.pressed();
  // In a stop a question that is nearly done is worth its answer, a long one is not worth the wait.
  if (pressed == urge::at_once
      || (pressed == urge::stop
          && (is_long_ || now - question_.asked_at > defaults::question_grace)))
    return end_cause::stopping;
  if (question_.abandoned())
    return end_cause::asker_gone;
  return now > until_ ? end_cause::out_of_time : end_cause::none;
}

} // namespace phi
