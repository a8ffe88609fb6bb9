#pragma once
/// The SUPERVISOR: starts the children, restarts those that die, and carries a stop through to its
/// end. Decides nothing about a stop itself: shutdown_plan does. It has a thread of
/// its own.

#include "actors/child.hpp"
#include "actors/ports/service_port.hpp"
#include "actors/restart_policy.hpp"
#include "actors/shutdown_plan.hpp"
#include "actors/status_line.hpp"
#include "actors/stop_window.hpp"
#include "config/config.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace phi {

/// One child, as service_graph describes it. The list is in stop order; a start goes through it
/// backwards.
struct child_spec {
  std::string name;
  duration budget{};
  std::function<duration(const config&)> budget_of; ///< after a reload; empty: stays as it is
  std::vector<size_t> users;
  bool restartable = false;
  /// It has clients to refuse, or takes what was acknowledged: when a stop begins while it waits
  /// for its restart it is started at once.
  bool needed_in_stop = false;
  bool spared = false; ///< see shutdown_plan::child
  activity_ptr seen_at;
  /// Spawns it and tells those who use it. Called in the supervisor's thread.
  std::function<child_actor(supervisor_actor)> start;
  /// It died and will not be started again: tells those who use it. May be empty.
  std::function<void()> given_up;
};

struct supervisor_settings {
  shutdown_plan::settings stop;
  duration start_timeout{}; ///< of a child, from its last progress on
  restart_policy::settings restarts;
  duration watchdog_silence{}; ///< without its ping for as long the watchdog is stuck; 0: is off
};

supervisor_settings supervisor_settings_of(const config& settings, duration watchdog_silence);

struct supervisor_state {
  enum class life : uint8_t { absent, starting, running, waiting_for_restart, gone };

  struct child {
    child_spec spec;
    child_actor actor;
    life state = life::absent;
    uint32_t restarts = 0;
    std::vector<waited> waits_at_kill;
  };

  /// It ends unfinished only by a defect: then nobody else would end the service.
  ~supervisor_state();

  child_identity who; ///< its own; nobody is above it
  std::vector<child> children;
  supervisor_settings settings;
  service_port_ptr service;
  std::optional<shutdown_plan> plan;
  restart_policy restarts;
  service_state state = service_state::starting;
  time_point started_at{};
  time_point start_deadline{};              ///< of the child that starts, from its last progress on
  uint64_t start_work_seen = 0;             ///< its progress, when last looked at
  std::optional<ledger_counts> last_ledger; ///< as stats left it
  uint64_t timer = 0;                       ///< number of the current timer
  time_point timer_due{};                   ///< when it should come
  time_point next_progress{};               ///< of the progress lines of a start or a stop
  time_point next_status{};                 ///< of the status line
  status_line line;
  time_point last_pinged{};          ///< by the watchdog, moved on while we stood still
  uint64_t pings = 0;                ///< of the watchdog
  std::optional<uint64_t> missed_at; ///< `pings` when its silence was last found too long
  std::optional<stop_window> window; ///< of the stop under way
  size_t gone_seen = 0;              ///< children, of the stop under way
  std::optional<uint64_t> work_seen; ///< done by those who hold the exit, when last looked at
  config_ptr applied;                ///< by the last reload; null: all are as at the start
  std::string cause;                 ///< of its own death
  bool over = false;                 ///< it leaves as it should
  bool reloading = false;
  bool dumping = false; ///< one dump at a time: who asks meanwhile sees that one
  service_state after_reload = service_state::ready;
  std::vector<promise_of<reload_report>> reloads_waiting;
};

supervisor_actor::behavior_type
supervisor_behavior(supervisor_actor::stateful_pointer<supervisor_state> self,
                    std::vector<child_spec> children, supervisor_settings settings,
                    service_port_ptr service, activity_ptr own);

} // namespace phi
