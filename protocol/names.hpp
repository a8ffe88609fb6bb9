#pragma once
/// Names and codes that programs decide by: who the actors are, what a wait is for, how an actor
/// is, what ails it. Users and phictl read them in the answers of the admin socket, the exit file
/// and traces, so that none of them changes when a text for people does. No CAF.

#include <cstdint>
#include <string_view>

namespace phi {

namespace actor_name {

inline constexpr const char* supervisor = "supervisor";
inline constexpr const char* http = "http";
inline constexpr const char* stats = "stats";
inline constexpr const char* reader = "reader";
inline constexpr const char* inspector = "inspector";
inline constexpr const char* spool = "spool";
inline constexpr const char* store = "store";
inline constexpr const char* maintenance = "maintenance";
inline constexpr const char* membership = "membership";
inline constexpr const char* watchdog = "watchdog";
inline constexpr const char* signal = "signal";
inline constexpr const char* admin = "admin";

inline constexpr std::string_view all[] = {supervisor, http,        stats,  reader,
                                           inspector,  maintenance, spool,  store,
                                           membership, watchdog,    signal, admin};

} // namespace actor_name

/// Parts of the service that are watched and are no actors. The event loops have numbers.
namespace part_name {

inline constexpr const char* public_listener = "public listener";

} // namespace part_name

/// Work that others wait for, by the name that people see.
namespace work_name {

inline constexpr const char* commit = "COMMIT";
inline constexpr const char* close_database = "the database to close";

} // namespace work_name

/// Whom or what somebody waits for: what kind of name a wait has.
enum class wait_kind : uint8_t {
  actor,  ///< one of `actor_name`
  client, ///< a client by its address, with what it owes
  work,   ///< one of `work_name`: the outside world
};

/// How an actor is, in the supervisor's table.
enum class actor_state : uint8_t { absent, starting, running, stopping, restarting, gone };

/// How far an actor is in a stop.
enum class exit_state : uint8_t {
  waiting,  ///< those whom it serves are not gone
  released, ///< told to finish and leave
  late,     ///< its budget is over
  killed,   ///< it held the exit past the deadline
  gone,     ///< its DOWN has come
};

/// Why a part of the service is a cause for it to be degraded.
enum class cause_kind : uint8_t {
  silent,      ///< it does not answer
  not_running, ///< it is being restarted, or gone
  degraded,    ///< it says so itself
};

/// Why an actor's part of the service is not whole.
enum class ailment : uint8_t {
  none,
  database_away,     ///< it does not answer, or must not be used
  database_silent,   ///< a batch waits for it longer than it should
  database_refuses,  ///< it takes no events
  database_degraded, ///< its file is not as it should be
  questions_fail,    ///< the last question could not be answered
  spool_degraded,    ///< something in it cannot be stored, is damaged or missing
  no_connections,    ///< no new ones can be taken
};

std::string_view to_string(wait_kind);
std::string_view to_string(actor_state);
std::string_view to_string(exit_state);
std::string_view to_string(cause_kind);
std::string_view to_string(ailment);

} // namespace phi
