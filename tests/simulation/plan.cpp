#include "tests/simulation/plan.hpp"

#include "protocol/names.hpp"
#include "protocol/text/duration.hpp"

#include <algorithm>

namespace phi::simulation {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

constexpr std::string_view names[] = {"database_away",
                                      "database_slow",
                                      "database_silent",
                                      "database_refuses",
                                      "database_read_only",
                                      "database_full",
                                      "event_refused",
                                      "event_cursed",
                                      "lost_before_commit",
                                      "lost_after_commit",
                                      "commit_unknown",
                                      "counts_corrupted",
                                      "spool_full",
                                      "spool_fails",
                                      "spool_unknown",
                                      "spool_keeps_taken",
                                      "spool_slow",
                                      "actor_throws",
                                      "actor_blocks",
                                      "actor_killed",
                                      "actor_frozen",
                                      "process_stands_still",
                                      "process_killed",
                                      "killed_at_point",
                                      "stop",
                                      "stop_pressed_again",
                                      "reload",
                                      "reload_broken",
                                      "lame_duck",
                                      "dump"};
static_assert(std::size(names) == happening_kinds);

constexpr std::string_view client_names[] = {"patient", "hasty",     "leaving", "doubling",
                                             "idle",    "dribbling", "asking"};
static_assert(std::size(client_names) == client_kinds);

/// Fault points in the code of the actors: where batches are handed over, and all others.
const std::vector<std::string> hand_over_points{
  "stats.ingest", "stats.committed", "stats.spooled", "store.commit",   "store.committed",
  "spool.append", "spool.appended",  "spool.replay",  "spool.committed"};

const std::vector<std::string> other_points{
  "stats.stop",         "stats.release",    "stats.ping",       "store.stop",
  "store.release",      "store.ping",       "store.open",       "spool.stop",
  "spool.release",      "spool.ping",       "spool.open",       "http.open",
  "http.stop",          "http.release",     "http.ping",        "watchdog.tick",
  "watchdog.check",     "watchdog.stop",    "watchdog.release", "reader.stop",
  "reader.release",     "reader.ping",      "membership.beat",  "membership.stop",
  "membership.release", "maintenance.step", "maintenance.stop", "maintenance.release",
  "admin.stop",         "admin.release",    "admin.ping",       "signal.stop",
  "signal.release",     "signal.ping",      "supervisor.ping",  "supervisor.tick"};

/// What belongs together, and hardly ever meets among all there is: what a batch may find on its
/// way, what is there of an event that the database does not take, what may come upon a stop.
const std::vector<std::vector<happening_kind>> themes{
  {happening_kind::actor_throws, happening_kind::actor_blocks, happening_kind::database_slow,
   happening_kind::database_silent, happening_kind::commit_unknown, happening_kind::stop,
   happening_kind::stop_pressed_again, happening_kind::spool_slow, happening_kind::spool_fails,
   happening_kind::spool_unknown},
  {happening_kind::event_cursed, happening_kind::event_refused, happening_kind::database_away,
   happening_kind::killed_at_point, happening_kind::spool_keeps_taken,
   happening_kind::process_killed, happening_kind::actor_throws, happening_kind::lost_after_commit},
  {happening_kind::actor_killed, happening_kind::actor_frozen, happening_kind::actor_throws,
   happening_kind::stop, happening_kind::stop_pressed_again, happening_kind::reload,
   happening_kind::database_slow},
};

/// Those that are started again, and have clients or events, several times as often.
const std::vector<std::string> actors{
  actor_name::http,      actor_name::http,       actor_name::http,        actor_name::http,
  actor_name::store,     actor_name::store,      actor_name::store,       actor_name::spool,
  actor_name::spool,     actor_name::spool,      actor_name::reader,      actor_name::stats,
  actor_name::inspector, actor_name::membership, actor_name::maintenance, actor_name::watchdog,
  actor_name::signal,    actor_name::admin};

/// The embedded database finds who is at fault in a batch, whatever it says of it.
bool needs_postgres(happening_kind kind) {
  return (kind >= happening_kind::spool_full && kind <= happening_kind::spool_slow)
         || kind == happening_kind::event_cursed;
}

void choose_settings(plan& out, chance& draw) {
  auto& s = out.settings;
  s.shutdown.timeout_secs = draw.of<int64_t>({30, 30, 10, 5, 20});
  s.shutdown.force_delay_secs = draw.of<int64_t>({10, 10, 5, 2});
  s.shutdown.force_quit = !draw.one_in(10);
  s.shutdown.watchdog.enabled = draw.one_in(4);
  s.shutdown.watchdog.interval_secs = 5;
  s.shutdown.watchdog.timeout_secs = 20;
  s.server.drain_delay_ms = draw.one_in(5) ? draw.between(100, 3000) : 0;
  s.stats.batch_size = draw.of<int64_t>({10'000, 10, 3, 1});
  s.stats.queue_max_events = draw.of<int64_t>({200'000, 200'000, 30, 8});
  s.resolved.storage = out.postgres ? storage_kind::postgres : storage_kind::sqlite;
  s.stats.track_requests = draw.one_in(2);
  if (draw.one_in(4))
    out.manager_limit = std::chrono::seconds{draw.of<int64_t>({20, 45, 90})};
}

void choose_clients(plan& out, chance& draw) {
  auto some = draw.between(2, 7);
  for (int64_t i = 0; i < some; ++i) {
    auto kind = i == 0 ? client_kind::patient : static_cast<client_kind>(draw.below(client_kinds));
    out.clients.push_back({.kind = kind,
                           .requests = draw.between(3, 30),
                           .events = draw.of<int64_t>({1, 1, 3, 12}),
                           .pause = draw.of<duration>({0ms, 50ms, 1s, 4s})});
  }
}

/// Few kinds and places for each seed, so that the same ones meet again and again: what needs three
/// of them would hardly ever happen among thirty.
struct palette {
  std::vector<happening_kind> kinds;
  std::vector<std::string> places;
  std::vector<std::string> victims; ///< actors
};

palette draw_palette(const plan& out, chance& draw) {
  palette some;
  auto theme = draw.below(themes.size() + 1); // the last is: anything
  auto kinds = draw.between(1, 6);
  while (some.kinds.size() < static_cast<size_t>(kinds)) {
    auto kind = theme < themes.size() ? draw.of(themes[theme])
                                      : static_cast<happening_kind>(draw.below(happening_kinds));
    if (out.postgres || !needs_postgres(kind))
      some.kinds.push_back(kind);
  }
  for (int i = 0; i < 3; ++i)
    some.places.push_back(draw.of(theme < 2 ? hand_over_points : other_points));
  for (int i = 0; i < 2; ++i)
    some.victims.push_back(draw.of(actors));
  return some;
}

happening draw_happening(const plan& out, const palette& some, chance& draw) {
  happening one{.kind = draw.of(some.kinds)};
  one.at = draw.time(0ms, out.lasts);
  one.lasts = draw.time(5ms, 20s);
  one.instance = draw.below(out.instances);
  one.number = draw.between(1, 4);
  switch (one.kind) {
    case happening_kind::actor_throws:
    case happening_kind::killed_at_point: one.where = draw.of(some.places); break;
    case happening_kind::actor_blocks:
      one.where = draw.of(some.places);
      one.lasts = draw.time(1ms, 90s);
      break;
    case happening_kind::actor_frozen:
      one.where = draw.of(some.victims);
      one.lasts = draw.time(1ms, 90s);
      break;
    case happening_kind::actor_killed: one.where = draw.of(some.victims); break;
    default: break;
  }
  return one;
}

/// What is to meet must be near: happenings gather around one of them, or around a stop, which is
/// short.
void gather(plan& out, chance& draw) {
  std::vector<duration> centres;
  for (const auto& one : out.happenings)
    if (one.kind == happening_kind::stop || one.kind == happening_kind::stop_pressed_again)
      centres.push_back(one.at);
  auto share = draw.of<int64_t>({1, 1, 3});
  if (centres.empty() || draw.one_in(3))
    centres.push_back(draw.time(0ms, out.lasts));
  for (auto& one : out.happenings)
    if (draw.one_in(share))
      one.at = std::max<duration>(
        0ms, draw.of(centres)
               + (draw.one_in(2) ? milliseconds{draw.between(-150, 150)} : draw.time(-500ms, 3s)));
}

/// Who has died a moment before a stop is about to be started again.
void kill_before_stops(plan& out, chance& draw) {
  auto stops = out.happenings;
  for (const auto& one : stops)
    if ((one.kind == happening_kind::stop || one.kind == happening_kind::stop_pressed_again)
        && draw.one_in(4))
      out.happenings.push_back(
        {.kind = happening_kind::actor_killed,
         .at = std::max<duration>(0ms, one.at - milliseconds{draw.between(0, 120)}),
         .instance = one.instance,
         .where = draw.of(actors)});
}

} // namespace

std::string_view to_string(happening_kind kind) {
  return names[static_cast<size_t>(kind)];
}

std::string_view to_string(client_kind kind) {
  return client_names[static_cast<size_t>(kind)];
}

std::string show(const happening& one) {
  std::string out = show_duration(one.at) + " " + std::string{to_string(one.kind)};
  if (!one.where.empty())
    out += " at " + one.where;
  return out + ", instance " + std::to_string(one.instance) + ", for " + show_duration(one.lasts)
         + ", number " + std::to_string(one.number);
}

plan make_plan(uint64_t seed) {
  chance draw{seed * 2 + 1};
  plan out{.seed = seed};
  out.postgres = !draw.one_in(3);
  out.instances = out.postgres ? static_cast<size_t>(draw.of<int64_t>({1, 1, 1, 2, 3})) : 1;
  out.lateness = static_cast<int>(draw.of<int64_t>({0, 100, 20, 5}));
  out.lasts = std::chrono::seconds{draw.between(5, 40)};
  choose_settings(out, draw);
  choose_clients(out, draw);
  auto kinds = draw_palette(out, draw);
  auto some = draw.between(0, 16);
  for (int64_t i = 0; i < some; ++i)
    out.happenings.push_back(draw_happening(out, kinds, draw));
  gather(out, draw);
  kill_before_stops(out, draw);
  std::stable_sort(out.happenings.begin(), out.happenings.end(),
                   [](const happening& a, const happening& b) { return a.at < b.at; });
  return out;
}

plan only(plan from, const std::set<size_t>& places) {
  std::vector<happening> left;
  for (auto at : places)
    if (at < from.happenings.size())
      left.push_back(from.happenings[at]);
  from.happenings = std::move(left);
  return from;
}

} // namespace phi::simulation
