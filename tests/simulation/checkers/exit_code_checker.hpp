#pragma once
/// The exit code says what happened: 0 only where everything went as it should, every other only
/// for its reason.

#include "tests/simulation/observed.hpp"

#include <algorithm>

namespace phi::simulation {

class exit_code_checker : public checker {
public:
  exit_code_checker() : checker("exit_code_checker") {}

  void process_ended(const seen_world&, const seen_process& process) override {
    if (process.ended != ending::by_itself || !process.report)
      return;
    const auto& report = *process.report;
    auto timeout = std::chrono::seconds{process.at_stop->shutdown.timeout_secs};
    auto took = process.ended_at - *process.stop_began;
    bool late = took >= timeout && process.at_stop->shutdown.force_quit;
    bool was_ready = std::find(process.states.begin(), process.states.end(), service_state::ready)
                     != process.states.end();
    switch (report.code) {
      case exit_code::clean:
        // Nobody can be late while all stand still; and the timer has its turn among others.
        late = late && took - process.stood_still >= timeout + tolerance;
        return check_clean(process, report, late);
      case exit_code::startup_failed:
        return expect(process, !was_ready, "start-up failed, though it was ready");
      case exit_code::child_died:
        return expect(process, !process.died.empty(), "an actor died, though none did");
      case exit_code::forced_by_deadline:
        return expect(process, late, "forced by the deadline, though it had not come");
      case exit_code::forced_by_user:
        return expect(process, process.wished == stop_mode::immediate, "forced by nobody");
      case exit_code::unaccounted:
        return expect(process, !report.ledger || !report.ledger->settled(),
                      "events unaccounted for, though they are");
      case exit_code::usage: return complain(process, "usage error of a run");
    }
  }

private:
  static constexpr auto tolerance = std::chrono::milliseconds{200};

  void expect(const seen_process& process, bool is_so, const std::string& otherwise) {
    if (!is_so)
      complain(process, "says: " + otherwise);
  }

  void check_clean(const seen_process& process, const exit_report& report, bool late) {
    auto must = [&](bool is_so, const std::string& what) {
      if (!is_so)
        complain(process, "says that it is clean, but " + what);
    };
    must(!process.listens, "its listener is open");
    must(process.in_flight == 0, "requests are in flight");
    bool died = process.died.contains(actor_name::store); // then it ends with its connection
    must(!process.store_open || died, "its database is not closed");
    must(!late, "the deadline had passed");
    bool nothing_came = !report.ledger && process.submitted == 0; // a stop before it was ready
    must(nothing_came || (report.ledger && report.ledger->settled()), "its ledger is not settled");
    must(process.died_in_stop.empty(), "an actor died in the stop");
    for (const auto& row : report.actors)
      must(!row.killed, row.actor + " was killed");
  }
};

} // namespace phi::simulation
