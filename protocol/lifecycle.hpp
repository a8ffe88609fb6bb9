#pragma once
/// States, stop modes, reasons and exit codes of the service: the vocabulary of its life cycle.

#include <cstdint>
#include <optional>
#include <string_view>

namespace phi {

/// `starting -> ready <-> lame_duck`, `ready <-> reloading`, then `stopping -> stopped`; a forced
/// exit ends the process in `stopping`.
enum class service_state : uint8_t { starting, ready, reloading, lame_duck, stopping, stopped };

/// How a stop is carried out. A stop may only escalate: the order of the values is the ladder.
enum class stop_mode : uint8_t {
  lame_duck, ///< readiness fails, everything still works; can be undone
  graceful,  ///< requests in flight are finished, queued events are committed
  fast,      ///< requests in flight are answered 503, queued events are still committed
  immediate, ///< exit now; what was acknowledged is durable already
};

/// Why the service stops.
enum class stop_reason : uint8_t {
  none,
  interrupt,      ///< SIGINT
  terminate,      ///< SIGTERM
  quit,           ///< SIGQUIT
  admin,          ///< the admin socket asked for it
  child_died,     ///< an actor died and could not be restarted
  startup_failed, ///< an actor could not start
  user_forced,    ///< a third signal, or mode immediate
};

/// The process's exit status. Documents, --help and the unit file print this table; a test compares
/// them. 3 to 79 are left out: systemd shows names of its own for them (systemd.exec(5)).
enum class exit_code : uint8_t {
  clean = 0,
  startup_failed = 1,
  usage = 2,
  child_died = 80,
  forced_by_deadline = 81,
  forced_by_user = 82,
  unaccounted = 83,
};

/// All of them, for tables.
inline constexpr exit_code exit_codes[] = {
  exit_code::clean,      exit_code::startup_failed,     exit_code::usage,
  exit_code::child_died, exit_code::forced_by_deadline, exit_code::forced_by_user,
  exit_code::unaccounted};

/// What the world outside asks for without words.
enum class signal_kind : uint8_t {
  terminate, ///< SIGTERM
  interrupt, ///< SIGINT
  quit,      ///< SIGQUIT
  reload,    ///< SIGHUP
  dump,      ///< SIGUSR1
  lame_duck, ///< SIGUSR2
};

/// A signal that has arrived, and what is asked for by it.
struct heard_signal {
  signal_kind kind = signal_kind::terminate;
  std::optional<stop_mode> wish; ///< a stop; nothing: it asks for none, or for the same one again
  int press = 0;                 ///< which wish for a stop this is, from 1; 0: it asks for none
};

/// What happens to the service in the course of time, as GET /lifecycle tells it.
enum class life_kind : uint8_t {
  start,
  stop,      ///< a run ended with a report, and by itself
  crash,     ///< a run ended without one: seen at the next start
  forced,    ///< a run was ended by the deadline, or by a user who would not wait
  reload,    ///< the settings were read again
  degraded,  ///< something was not as it should be
  spooling,  ///< events went to the spool
  lame_duck, ///< readiness failed because somebody wished so
  upgrade,   ///< a run began with another version than the one before it
};
inline constexpr life_kind life_kinds[] = {
  life_kind::start,    life_kind::stop,      life_kind::crash,
  life_kind::forced,   life_kind::reload,    life_kind::degraded,
  life_kind::spooling, life_kind::lame_duck, life_kind::upgrade};

std::string_view to_string(life_kind);
/// Nothing for any other text.
std::optional<life_kind> parse_life_kind(std::string_view text);

std::string_view to_string(service_state);
std::string_view to_string(stop_mode);
std::string_view to_string(stop_reason);

/// "clean", "forced_by_deadline": the verdict on a run, for programs.
std::string_view to_string(exit_code);
/// The name of the signal, such as SIGTERM.
std::string_view to_string(signal_kind);

/// One sentence a person understands, as in the table of exit codes.
std::string_view describe(exit_code);

/// `graceful`, `fast`, `immediate` or `lame-duck`; nothing for any other text.
std::optional<stop_mode> parse_stop_mode(std::string_view text);

} // namespace phi
