#pragma once
/// What a seed stands for: how the service is set up, who its clients are, and what happens to it
/// and when. A list, so that a failing run can be made smaller by leaving things out.

#include "config/config.hpp"
#include "protocol/time.hpp"
#include "tests/simulation/chance.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace phi::simulation {

enum class happening_kind : uint8_t {
  // The database.
  database_away,
  database_slow,
  database_silent,
  database_refuses,
  database_read_only,
  database_full,
  event_refused,
  event_cursed,
  lost_before_commit,
  lost_after_commit,
  commit_unknown,
  counts_corrupted,
  // The spool.
  spool_full,
  spool_fails,
  spool_unknown,
  spool_keeps_taken,
  spool_slow,
  // Actors and processes.
  actor_throws,
  actor_blocks,
  actor_killed,
  actor_frozen,
  process_stands_still,
  process_killed,
  killed_at_point,
  // From outside.
  stop,
  stop_pressed_again,
  reload,
  reload_broken,
  lame_duck,
  dump,
  last, ///< none: how many there are
};

constexpr size_t happening_kinds = static_cast<size_t>(happening_kind::last);

std::string_view to_string(happening_kind kind);

struct happening {
  happening_kind kind{};
  duration at{};    ///< since the run began
  duration lasts{}; ///< zero: a moment
  size_t instance = 0;
  std::string where;  ///< an actor, or a fault point
  int64_t number = 0; ///< which pass, which signal, how often: as the kind needs it
};

/// For people: "12.300 s database_away for 4.1 s".
std::string show(const happening& one);

enum class client_kind : uint8_t {
  patient,   ///< waits for its answer, and sends again what was not taken
  hasty,     ///< goes after a moment without an answer, and sends again
  leaving,   ///< goes without its answer, for good
  doubling,  ///< sends each request twice at the same time
  idle,      ///< opens connections and sends nothing
  dribbling, ///< leaves its request half sent
  asking,    ///< asks questions
  last,
};

constexpr size_t client_kinds = static_cast<size_t>(client_kind::last);

std::string_view to_string(client_kind kind);

struct client_plan {
  client_kind kind{};
  int64_t requests = 0;
  int64_t events = 1; ///< of each request, at most
  duration pause{};   ///< between two, at most
};

struct plan {
  uint64_t seed = 0;
  bool postgres = false; ///< with a spool, and possibly several instances
  size_t instances = 1;
  int lateness = 0;                      ///< see machine
  std::optional<duration> manager_limit; ///< after a stop signal it kills
  duration lasts{};                      ///< of faults and clients
  config settings;
  std::vector<client_plan> clients;
  std::vector<happening> happenings;
};

plan make_plan(uint64_t seed);

/// Only these happenings, by their places.
plan only(plan from, const std::set<size_t>& places);

} // namespace phi::simulation
