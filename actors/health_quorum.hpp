#pragma once
/// Decides whether the actors are healthy: each has answered its ping, or its progress counter has
/// moved. Silence is counted in time that an actor could have used: not while the process stood
/// still, and not while its thread waited for a processor. No actors, no clock.

#include "protocol/time.hpp"

#include <string>
#include <vector>

namespace phi {

class health_quorum {
public:
  struct late_member {
    std::string name;
    duration silent{};  ///< since its last answer or progress
    duration starved{}; ///< time within that in which others had the processors; not in `silent`
    bool stuck = false; ///< silent for the limit or longer
  };

  /// `patience`: silent for as long is late. `limit`: silent for as long is stuck.
  health_quorum(duration patience, duration limit) : patience_(patience), limit_(limit) {}

  void set_limits(duration patience, duration limit) {
    patience_ = patience;
    limit_ = limit;
  }

  /// Adds a member, or takes it as fresh again after its restart.
  void watch(const std::string& name, time_point now);

  /// It is on its way out: its silence means nothing.
  void forget(const std::string& name);

  /// A ping goes out to it; until it answers it is pending.
  void pinged(const std::string& name);

  void answered(const std::string& name, uint64_t progress, time_point now);

  /// What is seen of it from outside: its progress counter, and how long its thread has waited for
  /// a processor since it began.
  void seen(const std::string& name, uint64_t progress, duration waited, time_point now);

  /// The whole process stood still for this long: nobody's fault.
  void stood_still(duration how_long);

  /// Whether a ping to it is still unanswered: then it gets no further one.
  bool pending(const std::string& name) const;

  /// The members that have not answered their last ping and are out of patience, the longest silent
  /// first.
  std::vector<late_member> late(time_point now) const;

  /// Whether nobody is waited for.
  bool complete() const;

private:
  struct member {
    std::string name;
    time_point last_sign{};
    uint64_t progress = 0;
    duration waited_at_sign{};
    duration waited{};
    bool pending = false;
  };

  member* find(const std::string& name);
  const member* find(const std::string& name) const;
  static void sign(member& m, time_point now);

  duration patience_;
  duration limit_;
  std::vector<member> members_;
};

} // namespace phi
