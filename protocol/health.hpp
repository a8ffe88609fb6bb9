#pragma once
/// How the service is as a whole.

#include <string>
#include <vector>

namespace phi {

/// What /health, /health/ready, `phictl health`, the doctor and the status line say.
struct health_view {
  std::vector<std::string> causes; ///< "store: the database file has been moved away"; none: well
  bool refuses_events = false;     ///< who sends events now is refused

  bool degraded() const { return !causes.empty(); }
  /// The causes in one line.
  std::string text() const {
    std::string out;
    for (const auto& cause : causes)
      out += (out.empty() ? "" : "; ") + cause;
    return out;
  }
};

} // namespace phi
