#pragma once
/// What a stop tells: who was told what and when, who held the exit and for how long.

#include "protocol/status.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phi {

class activity;

/// One actor's part in a stop. Times count from the first stop signal.
struct exit_row {
  std::string actor;
  exit_state state = exit_state::waiting;
  std::optional<duration> stop_sent;
  std::optional<duration> released;  ///< its users were gone
  std::optional<duration> escalated; ///< its budget was over
  std::optional<duration> killed;    ///< it held the exit past the deadline
  std::optional<duration> stopped;   ///< its last words
  std::optional<duration> gone;      ///< its DOWN: the proof
  std::optional<stopped_report> report;
  std::string trouble; ///< died, gave no report, ...; for people
  exit_trouble trouble_code = exit_trouble::none;
  std::string doing;                ///< of one that is not gone: "COMMIT for 31.0 s"; empty: idle
  work_code work = work_code::none; ///< of one that is not gone: of that work
  std::vector<waited> waits;        ///< of one that is not gone: whom it waits for
  std::shared_ptr<const activity> seen_at; ///< where the last three are seen; may be null
};

struct exit_report {
  stop_mode mode = stop_mode::graceful;
  stop_reason reason = stop_reason::none;
  exit_code code = exit_code::clean;
  std::string detail; ///< of the reason: which actor, which error
  time_point began{}; ///< the first stop signal
  duration took{};
  std::vector<exit_row> actors; ///< in stop order
  std::optional<ledger_counts> ledger;
};

/// The last link of the chain of those who wait for one another.
struct culprit {
  std::string who;  ///< an actor, or words such as "client 127.0.0.1:4711, which ..."
  std::string deed; ///< "COMMIT for 31.0 s", "COMMIT"; empty: not known
  duration held{};  ///< for how long; 0: not known
  wait_kind kind = wait_kind::actor; ///< of `who`: an actor or a client
  work_code work = work_code::none;  ///< of the work in `deed`
};

/// Brings a draft up to `now`: the time that it took, what those who are left do and wait for, and
/// the ledger as STATS last showed it.
void refresh_report(exit_report& report, time_point now);

/// "http waited 1.9 s for stats; stats waited 1.8 s for store; store waited 1.8 s for COMMIT".
/// Empty when nobody waited noticeably.
std::string blame_chain(const exit_report& report);

/// Who held the stop in the end: of those who are left, or of the longest waits when all are gone,
/// or, where nobody has reported one, who took longest to leave. Nothing: nobody did noticeably.
std::optional<culprit> held_by(const exit_report& report);

/// The names of the actors that are not gone, with what is known of them.
std::string survivors(const exit_report& report);

/// The closing table for the log, one line a row.
std::vector<std::string> closing_table(const exit_report& report);

} // namespace phi
