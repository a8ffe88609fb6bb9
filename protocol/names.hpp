#pragma once
/// Names and codes that programs decide by: who the actors are, what a wait is for, how an actor
/// is, what ails it. Users and phictl read them in the answers of the admin socket, the exit file
/// and traces, so that none of them changes when a text for people does. No CAF.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
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

/// Parts of the service that are watched and are no actors.
namespace part_name {

inline constexpr const char* public_listener = "public_listener";

/// "event_loop_1" is the first.
inline std::string event_loop(size_t number) {
  return "event_loop_" + std::to_string(number);
}

} // namespace part_name

/// Work that others wait for.
enum class work_code : uint8_t { none, commit, close_database };

/// The gauges that somebody decides by, or reads of another actor. An actor may show more.
namespace gauge_name {

inline constexpr const char* refusing = "refusing";   ///< of stats: who sends now is refused
inline constexpr const char* oldest_ms = "oldest_ms"; ///< of stats: what waits has for so long
/// Of stats: events with a value that counts under "(other)", since the start.
inline constexpr const char* counted_as_other = "counted_as_other";
/// Of stats: identities of deleted rows that the database knows no more.
inline constexpr const char* identities_lost = "identities_lost";
inline constexpr const char* connections = "connections"; ///< of http: that are open
inline constexpr const char* events = "events";       ///< of the spool: that wait for the database
inline constexpr const char* set_aside = "set_aside"; ///< of the spool: batches
/// Of the maintenance: what the lines of uncounted rows take in PostgreSQL, with those that are
/// deleted and cannot go yet.
inline constexpr const char* uncounted_bytes = "uncounted_bytes";

} // namespace gauge_name

/// The kinds of work whose times an actor shows.
namespace times_name {

inline constexpr const char* commit = "commit"; ///< of stats: transactions that stored a batch
inline constexpr const char* flush = "flush";   ///< of stats: from a batch's cut to its settling
inline constexpr const char* answer = "answer"; ///< of the reader and the inspector

} // namespace times_name

/// Why an event is rejected.
enum class rejection : uint8_t {
  invalid,           ///< by its form, or beside one that is, where all or nothing was asked for
  overloaded,        ///< the queue was full
  stopping,          ///< the service was
  store_unavailable, ///< the database did not take it
  spool_unavailable, ///< nor did the spool
  outcome_unknown,   ///< its sender was told that nobody knows, and it is not stored
  refused_by_store,  ///< the database cannot hold it
  own,               ///< about our own requests: given up at the end of a stop
};
inline constexpr rejection rejections[] = {
  rejection::invalid,           rejection::overloaded,
  rejection::stopping,          rejection::store_unavailable,
  rejection::spool_unavailable, rejection::outcome_unknown,
  rejection::refused_by_store,  rejection::own};

/// Whom or what somebody waits for: what kind of name a wait has.
enum class wait_kind : uint8_t {
  actor,  ///< one of `actor_name`
  client, ///< a client by its address, with what it owes
  work,   ///< one of `work_code`: the outside world
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

/// What went wrong with an actor in a stop.
enum class exit_trouble : uint8_t {
  none,
  failed, ///< it says itself that something did
  died,   ///< it left without a report
  killed, ///< it held the exit past the deadline
};

/// What one instance asks of another.
enum class instance_wish : uint8_t {
  drain, ///< to be a lame duck
  ready, ///< to be one no longer
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

/// How the doctor finds one thing that it examines.
enum class finding_verdict : uint8_t {
  ok,
  warning, ///< works, and somebody should know
  bad,     ///< does not work, or will not at the next start
};

/// What the doctor finds; `none` where all is well.
enum class finding_code : uint8_t {
  none,
  state_directory_unwritable,
  state_directory_public, ///< everybody may read it
  disk_unreadable,        ///< its room is not known
  disk_low,
  database_unreadable,
  database_log_large, ///< the write-ahead log is not cut back
  database_bloated,   ///< rows that are deleted cannot go
  database_away,      ///< events go to the spool
  clock_wrong,
  open_files_few,   ///< fewer than `server.max_connections` need
  salt_not_shared,  ///< other instances store other hashes of the same user
  degraded,         ///< a part of the service is
  settings_invalid, ///< the file and the environment, as they are now
  start_would_fail, ///< they name what is not there on this machine
  address_overruled,
  budgets_unfit, ///< a time-out of the unit is over before ours
  events_spooled,
  values_beyond_cap, ///< some values of a dimension are counted together
  identities_lost,   ///< old events may be refused, for nobody knows whether they are stored
  batches_set_aside,
  actors_silent,    ///< nobody says how the actors are
  not_running,      ///< no service answers
  last_exit_failed, ///< the last run did not end as it should
};

std::string_view to_string(work_code);
/// "COMMIT", "the database to close": for people, as the end of "waits for".
const char* describe(work_code);
std::string_view to_string(exit_trouble);
std::string_view to_string(instance_wish);
/// Nothing for any other text.
std::optional<instance_wish> parse_instance_wish(std::string_view text);
std::string_view to_string(rejection);
std::string_view to_string(wait_kind);
std::string_view to_string(actor_state);
std::string_view to_string(exit_state);
std::string_view to_string(cause_kind);
std::string_view to_string(ailment);
std::string_view to_string(finding_verdict);
std::string_view to_string(finding_code);

} // namespace phi
