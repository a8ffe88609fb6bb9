#pragma once
/// How a run ended, as its file in the state directory tells it.

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace phi {

/// Empty texts are not known.
struct run_end {
  std::string run_id;
  std::string version;
  std::optional<int64_t> started_us; ///< since 1970, as the others
  std::optional<int64_t> ended_us;   ///< of one that crashed: when that was noticed
  bool crashed = false;              ///< it left no report; what follows is not known then
  int exit_code = 0;
  double took_ms = 0; ///< its stop
  std::string verdict;
  std::string exit_text;
  std::string mode;
  std::string reason;
  std::string detail;
  std::string held_by; ///< who held its stop the longest, and in what; a client without its address
  double held_ms = 0;  ///< for how long
  std::string stuck_in; ///< whom the watchdog had given it up for
};

/// Out of last-exit.json. Nothing when it is no such text; a field that is not as it should be
/// counts as missing.
std::optional<run_end> read_run_end(const nlohmann::ordered_json& report);

} // namespace phi
