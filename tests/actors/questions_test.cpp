// What bounds the questions.

#include "actors/questions.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/replies.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<question_duty> one_asks() {
  return std::make_shared<question_duty>(
    question_duty{query_reply{std::make_shared<deaf_replies>(), 0}, somebody()});
}

} // namespace

TEST_CASE("questions that wait are bounded; answered and abandoned ones do not count") {
  question_gate gate{3};
  std::vector<std::shared_ptr<question_duty>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(one_asks());
    CHECK(gate.admit(waiting.back()));
  }
  auto more = one_asks();
  CHECK_FALSE(gate.admit(more));
  *waiting[1]->asker_gone = true;
  CHECK(gate.admit(more));
  auto yet_more = one_asks();
  CHECK_FALSE(gate.admit(yet_more));
  waiting.clear();
  CHECK(gate.admit(yet_more));
}

TEST_CASE("the time of a question counts from when it was asked") {
  activity seen;
  auto question = one_asks();
  question->asked_at = clock::now() - 2s;
  CHECK(question_watch{seen, *question, false, 3s}.check() == end_cause::none);
  CHECK(question_watch{seen, *question, false, 2s}.check() == end_cause::out_of_time);
  CHECK(question_watch{seen, *one_asks(), true, 0s}.check() == end_cause::none);
  CHECK(seen.progress() == 3); // each look
}

TEST_CASE("an asker who has gone ends the work at once") {
  activity seen;
  auto question = one_asks();
  question_watch watch{seen, *question, false, 10s};
  CHECK(watch.check() == end_cause::none);
  *question->asker_gone = true;
  CHECK(watch.check() == end_cause::asker_gone);
}

TEST_CASE("a stop ends what takes long, lets a young question be answered, and then ends all") {
  activity seen;
  auto young = one_asks();
  auto old = one_asks();
  old->asked_at = clock::now() - 1001ms;
  auto check = one_asks();
  question_watch young_watch{seen, *young, false, 10s};
  question_watch old_watch{seen, *old, false, 10s};
  question_watch check_watch{seen, *check, true, 10s};
  CHECK(old_watch.check() == end_cause::none);
  seen.press(urge::stop);
  CHECK(young_watch.check() == end_cause::none);
  CHECK(old_watch.check() == end_cause::stopping);
  CHECK(check_watch.check() == end_cause::stopping);
  seen.press(urge::at_once);
  seen.press(urge::stop); // never taken back
  CHECK(young_watch.check() == end_cause::stopping);
  CHECK(ended_answer(end_cause::stopping).error == error_code::stopping);
  CHECK(ended_answer(end_cause::out_of_time).error == error_code::query_timeout);
}
