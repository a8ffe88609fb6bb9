#pragma once
/// Who asks is answered once: never twice, and also at the end, unless the process was killed or
/// whoever owed the answer has died.

#include "tests/simulation/observed.hpp"

#include <algorithm>

namespace phi::simulation {

class answer_once_checker : public checker {
public:
  answer_once_checker() : checker("answer_once_checker") {}

  void answered(const seen_world&, const seen_request& request, const ingest_outcome&) override {
    if (request.answers > 1)
      complain("request " + std::to_string(request.number) + " is answered "
               + std::to_string(request.answers) + " times");
  }

  void process_ended(const seen_world& world, const seen_process& process) override {
    bool unharmed = process.ended == ending::by_itself && process.died.empty() && process.report
                    && std::none_of(process.report->actors.begin(), process.report->actors.end(),
                                    [](const exit_row& row) { return row.killed.has_value(); });
    if (!unharmed)
      return;
    for (const auto& [number, request] : world.requests)
      if (request.process == process.id && request.answers == 0)
        complain(process, "request " + std::to_string(number) + " was never answered");
  }
};

} // namespace phi::simulation
