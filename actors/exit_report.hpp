#pragma once
/// What a stop tells: who was told what and when, who held the exit and for how long.

#include "protocol/status.hpp"

#include <optional>
#include <string>
#include <vector>

namespace phi {

/// One actor's part in a stop. Times count from the first stop signal.
struct exit_row {
  std::string actor;
  std::string state; ///< waiting, released, late, killed, gone
  std::optional<duration> stop_sent;
  std::optional<duration> released; ///< its users were gone
  std::optional<duration> hurried;  ///< its budget was over
  std::optional<duration> stopped;  ///< its last words
  std::optional<duration> gone;     ///< its DOWN: the proof
  std::optional<stopped_report> report;
  std::string trouble; ///< died, gave no report, ...
};

struct exit_report {
  stop_mode mode = stop_mode::graceful;
  stop_reason reason = stop_reason::none;
  exit_code code = exit_code::clean;
  std::string detail; ///< of the reason: which actor, which error
  duration took{};
  std::vector<exit_row> actors; ///< in stop order
  std::optional<ledger_counts> ledger;
};

/// "http waited 1.9 s for stats; stats 1.8 s for store; store 1.8 s in COMMIT". Empty when nobody
/// waited noticeably.
std::string blame_chain(const exit_report& report);

/// The names of the actors that are not gone, with what is known of them.
std::string survivors(const exit_report& report);

/// The closing table for the log, one line a row.
std::vector<std::string> closing_table(const exit_report& report);

/// "12 ms", "1.9 s".
std::string show_duration(duration d);

} // namespace phi
