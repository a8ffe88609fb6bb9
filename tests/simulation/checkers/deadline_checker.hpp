#pragma once
/// What is forced is forced at its time: never before, and not later. Times are exact here, for the
/// last resort is a timer of the machine; how late a real one is, the drills measure.

#include "protocol/text/duration.hpp"
#include "tests/simulation/observed.hpp"

#include <algorithm>

namespace phi::simulation {

class deadline_checker : public checker {
public:
  deadline_checker() : checker("deadline_checker") {}

  void stop_moved(const seen_world&, const seen_process& process) override {
    auto timeout = std::chrono::seconds{process.at_stop->shutdown.timeout_secs};
    for (const auto& row : process.draft.actors)
      if (row.killed && *row.killed < timeout)
        complain(process, row.actor + " was killed " + show_duration(timeout - *row.killed)
                            + " before the deadline");
  }

  void process_ended(const seen_world&, const seen_process& process) override {
    if (!process.stop_began)
      return;
    const auto& stop = process.at_stop->shutdown;
    auto took = process.ended_at - *process.stop_began;
    auto hard = std::chrono::seconds{stop.timeout_secs + stop.force_delay_secs};
    bool forced = process.ended == ending::by_deadline;
    if (forced && !stop.force_quit)
      complain(process, "is forced, though shutdown.force_quit is off");
    // A manager that kills is left before, whatever our own deadlines are.
    if (forced && took < hard && !process.manager_limit)
      complain(process,
               "is forced after " + show_duration(took) + ", and had " + show_duration(hard));
    if (stop.force_quit && took > hard + process.stood_still)
      complain(process,
               "has ended after " + show_duration(took) + ", later than " + show_duration(hard));
    if (stop.force_quit && process.ended == ending::killed_by_manager
        && process.stood_still == duration::zero())
      complain(process, "its manager had to kill it after " + show_duration(took));
  }
};

} // namespace phi::simulation
