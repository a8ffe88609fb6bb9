#pragma once
/// Decides whether the actors are healthy: each has answered its ping, or its progress counter has
/// moved. No actors, no clock.

#include "protocol/caf_dialect.hpp"

#include <string>
#include <vector>

namespace phi {

class health_quorum {
public:
  struct late_member {
    std::string name;
    duration silent{};  ///< since its last answer or progress
    bool stuck = false; ///< silent for the limit or longer
  };

  explicit health_quorum(duration limit) : limit_(limit) {}

  /// Adds a member, or takes it as fresh again after its restart.
  void watch(const std::string& name, time_point now);

  /// It is on its way out: its silence means nothing.
  void forget(const std::string& name);

  /// A ping goes out to it; until it answers it is pending.
  void pinged(const std::string& name);

  void answered(const std::string& name, uint64_t progress, time_point now);

  /// Its progress counter was seen at `progress` although it has not answered.
  void seen(const std::string& name, uint64_t progress, time_point now);

  /// Whether a ping to it is still unanswered: then it gets no further one.
  bool pending(const std::string& name) const;

  /// The members that have not answered their last ping, the longest silent first.
  std::vector<late_member> late(time_point now) const;

  bool healthy(time_point now) const { return late(now).empty(); }

private:
  struct member {
    std::string name;
    time_point last_sign{};
    uint64_t progress = 0;
    bool pending = false;
  };

  member* find(const std::string& name);
  const member* find(const std::string& name) const;

  duration limit_;
  std::vector<member> members_;
};

} // namespace phi
