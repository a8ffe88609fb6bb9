#pragma once
/// Decides how the service is as a whole, from what was seen of its parts. No actors, no clock.

#include "actors/health_quorum.hpp"
#include "actors/ports/watch_port.hpp"
#include "protocol/status.hpp"

#include <set>

namespace phi {

/// What was seen in one look.
struct health_signs {
  std::optional<service_status> status; ///< as the supervisor last told it
  /// Actors that owe an answer, with what each does.
  std::vector<std::pair<health_quorum::late_member, std::string>> late;
  std::vector<outside_part> outside;
  duration patience{}; ///< for parts outside
};

/// Of an actor that says that it is degraded.
health_cause cause_of(const actor_status& status);

health_view judge(const health_signs& seen);

/// Tells the changes, so that each is in the log once: who began to ail, and when all are well.
class health_changes {
public:
  struct told {
    std::vector<health_cause> begun;
    bool over = false; ///< the last cause has gone
    duration lasted{}; ///< since the first
  };

  /// A cause is known by whom it is about: how long it lasts does not make it a new one.
  told compare(const health_view& view, time_point at);

private:
  std::set<std::string> known_;
  time_point since_{};
};

} // namespace phi
