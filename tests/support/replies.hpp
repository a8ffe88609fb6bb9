#pragma once
/// Where answers go in tests: those who write them down, and one who does not listen.

#include "protocol/questions.hpp"
#include "protocol/reply.hpp"

#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace phi::testing {

/// Writes down what it is told; complains by a second answer to the same request.
class recorded_replies : public reply_sink {
public:
  void deliver(std::vector<ingest_answer> list) noexcept override {
    for (auto& [to, outcome] : list) {
      twice |= outcomes.contains(to);
      outcomes[to] = std::move(outcome);
    }
  }
  void deliver(ticket to, query_answer answer) noexcept override {
    twice |= answers.contains(to);
    last = answer;
    answers[to] = std::move(answer);
  }

  std::map<ticket, ingest_outcome> outcomes;
  std::map<ticket, query_answer> answers;
  query_answer last;
  bool twice = false;
};

/// For whom nobody answers.
class deaf_replies : public reply_sink {
public:
  void deliver(std::vector<ingest_answer>) noexcept override {}
  void deliver(ticket, query_answer) noexcept override {}
};

/// Somebody who asks, and has not gone.
inline gone_flag somebody() {
  return std::make_shared<std::atomic<bool>>(false);
}

} // namespace phi::testing
