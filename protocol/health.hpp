#pragma once
/// How the service is as a whole.

#include <string>
#include <vector>

namespace phi {

/// What /health, /health/ready, `phictl health`, the doctor and the status line say. The first two
/// answer everybody, so they have the short words unless an administrator asks.
struct health_view {
  std::vector<std::string> causes; ///< "store: the database file has been moved away"; none: well
  bool refuses_events = false;     ///< who sends events now is refused
  /// The same causes for everybody who reaches the listener: their kinds, without hosts, paths and
  /// words of the database.
  std::vector<std::string> in_short;

  bool degraded() const { return !causes.empty(); }
  void add(const std::string& who, const std::string& why, const std::string& kind) {
    causes.push_back(who + ": " + why);
    in_short.push_back(who + ": " + kind);
  }
  /// The causes in one line.
  std::string text() const { return in_one_line(causes); }
  std::string short_text() const { return in_one_line(in_short); }

private:
  static std::string in_one_line(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& cause : list)
      out += (out.empty() ? "" : "; ") + cause;
    return out;
  }
};

} // namespace phi
