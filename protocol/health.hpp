#pragma once
/// How the service is as a whole.

#include "protocol/names.hpp"

#include <string>
#include <utility>
#include <vector>

namespace phi {

/// Why the service is degraded: one part, and what is wrong with it.
struct health_cause {
  std::string who; ///< an actor, or another part that is watched, for people
  cause_kind kind = cause_kind::degraded;
  std::string why;              ///< with hosts, paths and words of the database
  std::string why_in_short{};   ///< without, for everybody who reaches the listener
  ailment code = ailment::none; ///< of a part that says itself that it is degraded
  std::string part{};           ///< of a part that is no actor: its name, of `part_name`

  /// "store: the database file has been moved away"
  std::string text(bool in_full) const { return who + ": " + (in_full ? why : why_in_short); }
};

inline std::vector<std::string> texts_of(const std::vector<health_cause>& causes, bool in_full) {
  std::vector<std::string> out;
  for (const auto& cause : causes)
    out.push_back(cause.text(in_full));
  return out;
}

/// What /health, /health/ready, `phictl health`, the doctor and the status line say. The first two
/// answer everybody, so they have the short words unless an administrator asks.
struct health_view {
  std::vector<health_cause> causes; ///< none: well
  bool refuses_events = false;      ///< who sends events now is refused

  bool degraded() const { return !causes.empty(); }
  /// The causes in one line.
  std::string text() const { return in_one_line(true); }
  std::string short_text() const { return in_one_line(false); }

private:
  std::string in_one_line(bool in_full) const {
    std::string out;
    for (const auto& cause : causes)
      out += (out.empty() ? "" : "; ") + cause.text(in_full);
    return out;
  }
};

} // namespace phi
