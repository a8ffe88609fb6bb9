#pragma once
/// What bounds the questions: how many wait, how long one may take as a whole, and that nothing is
/// done for an asker who has gone. No actors.

#include "actors/activity.hpp"
#include "protocol/questions.hpp"

#include <list>
#include <mutex>

namespace phi {

/// A copy or a check of everything, which an operator waits for.
constexpr bool is_long(const reader_query&) {
  return false;
}
constexpr bool is_long(const inspection_task&) {
  return true;
}

/// What is answered when the work at a question was given up.
query_answer ended_answer(end_cause why);

/// Bounds how many questions wait. Thread-safe.
class question_gate {
public:
  explicit question_gate(size_t most) : most_(most) {}

  /// Whether one more may wait. One counts until it is answered or its asker has gone.
  bool admit(const std::shared_ptr<question_duty>& question);

private:
  std::mutex mutex_;
  std::list<std::weak_ptr<question_duty>> waiting_;
  size_t most_;
};

/// Watches one question while it is answered. Its time counts from when it was asked: the limit
/// is one for waiting and all statements together.
class question_watch : public work_watch {
public:
  /// `limit`: for a question that is not long.
  question_watch(activity& on, const question_duty& question, bool is_long, duration limit);

  end_cause check() noexcept override;

private:
  activity& on_;
  const question_duty& question_;
  bool is_long_;
  time_point until_;
};

} // namespace phi
