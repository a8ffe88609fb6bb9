#pragma once
/// Orders and reports between the supervisor and the actors under it.

#include "protocol/ledger.hpp"
#include "protocol/lifecycle.hpp"
#include "protocol/names.hpp"
#include "protocol/outcome.hpp"
#include "protocol/time.hpp"
#include "protocol/time_counts.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phi {

/// `stop`: accept no new clients. Take only what those before you still hand on.
struct stop_order {
  stop_mode mode = stop_mode::graceful;
  stop_reason reason = stop_reason::none;
};

/// `release`: nobody needs you any more; finish and leave. Given again with mode `fast` to an actor
/// that is late.
struct release_order {
  stop_mode mode = stop_mode::graceful;
};

/// A named number in a report, for example {"requests_finished", 12}.
struct counted {
  std::string name;
  uint64_t count = 0;
};

/// How long a kind of work took, of all of it since the start, by its name (`times_name`).
struct timed {
  std::string name;
  time_counts counts;
};

/// Time that an actor spent waiting for another, or for the outside world.
struct waited {
  std::string whom; ///< for people too; what kind of name it is says `kind`
  duration for_how_long{};
  wait_kind kind = wait_kind::actor;
  work_code work = work_code::none; ///< of `kind` work: which
};

/// Time that an actor spent waiting for work of the outside world.
inline waited waited_for(work_code work, duration how_long) {
  return {describe(work), how_long, wait_kind::work, work};
}

/// `stopped`: an actor's last words.
struct stopped_report {
  std::string actor;
  std::vector<counted> did;
  std::vector<waited> waits;
  std::optional<ledger_counts> ledger; ///< from stats only
  outcome ended;
};

/// Answer to `status`.
struct actor_status {
  std::string actor;
  std::string doing;     ///< what it does now: "idle", "COMMIT of 812 events for 0.4 s"
  bool idle = false;     ///< nothing of it would hold a stop
  uint64_t progress = 0; ///< grows with each piece of work done
  std::vector<counted> gauges;
  double backlog_s = 0; ///< estimate of the time its backlog takes
  std::string degraded; ///< why its part of the service is not whole; empty: it is
  std::string ails;     ///< the kind of it, for everybody: no hosts, paths or words of others
  ailment code = ailment::none; ///< the same for programs; counts while `degraded` is not empty
  size_t mailbox = 0;           ///< messages that wait for it
  std::string last;             ///< the last message that it handled, `ping` and `status` aside
  int thread = 0;               ///< the system's number of the thread that runs it
  std::optional<ledger_counts> ledger;
  std::vector<counted> rejected; ///< of the ledger's `rejected`: how many for which reason
  std::vector<timed> times;

  /// One of its gauges by its name (`gauge_name`); 0 when it shows none of that name.
  uint64_t gauge(std::string_view name) const {
    for (const auto& [called, count] : gauges)
      if (called == name)
        return count;
    return 0;
  }
};

/// Answer to `ping`.
struct pong {
  uint64_t progress = 0;
};

/// One row of the supervisor's table, for `status` and dumps.
struct child_status {
  std::string actor;
  actor_state state = actor_state::absent;
  uint32_t restarts = 0;
  std::optional<actor_status> says; ///< nothing when it did not answer in time
  std::vector<waited> waits;        ///< whom it waits for now, and since when
};

/// Answer of the supervisor to `status`.
struct service_status {
  service_state state = service_state::starting;
  stop_mode mode = stop_mode::graceful;
  stop_reason reason = stop_reason::none;
  duration uptime{};
  std::vector<child_status> children;
  std::optional<ledger_counts> ledger;
};

/// One actor's place in a stop that would begin now.
struct planned_exit {
  std::string actor;
  std::vector<std::string> after; ///< who must be gone before it is released
  duration budget{};
  duration limit{}; ///< from the signal until it is called late
};

/// Answer of the supervisor to `plan`: how a stop would go.
struct stop_forecast {
  std::vector<planned_exit> actors; ///< in stop order
  duration drain_delay{};
  duration deadline{};             ///< from the signal
  std::optional<duration> hard;    ///< from the signal; nothing: never forced
  std::optional<duration> manager; ///< the service manager kills after that; nothing: not known
};

/// Answer of the supervisor to `reload`.
struct reload_report {
  outcome accepted;                       ///< a failure: nothing has changed
  std::vector<std::string> changed;       ///< "logging.level: \"info\" -> \"debug\"", in effect now
  std::vector<std::string> needs_restart; ///< the same, in effect after a restart
  std::vector<std::string> warnings;
};

} // namespace phi
