#include "server/observe/metrics.hpp"

#include "server/observe/exposition.hpp"

#include <algorithm>
#include <array>

namespace phi {
namespace {

using enum metric_type;

struct metric {
  using teller = void (*)(const metrics_source& from, exposition& to);

  /// A gauge of an actor, as it is.
  constexpr metric(std::string_view called, metric_type is, std::string_view means,
                   std::string_view whose, std::string_view gauge_name)
    : name(called),
      type(is),
      help(means),
      actor(whose),
      shown(gauge_name) {}
  /// Anything else.
  constexpr metric(std::string_view called, metric_type is, std::string_view means, teller says)
    : name(called),
      type(is),
      help(means),
      tell(says) {}

  std::string_view name; ///< as `exposition::begin` takes it
  metric_type type;
  std::string_view help;
  std::string_view actor = {};
  std::string_view shown = {};
  teller tell = nullptr;
};

uint64_t flag(bool yes) {
  return yes ? 1 : 0;
}

double seconds(duration d) {
  return std::chrono::duration<double>(d).count();
}

double seconds_of_us(int64_t us) {
  return static_cast<double>(us) / 1e6;
}

/// One number of the ledger, while STATS or the supervisor knows it.
template <uint64_t ledger_counts::*Count>
void ledger_of(const metrics_source& from, exposition& to) {
  if (from.status && from.status->ledger)
    to.put({}, (*from.status->ledger).*Count);
}

template <uint64_t http_counts::*Count>
void http_of(const metrics_source& from, exposition& to) {
  to.put({}, from.http.*Count);
}

template <uint64_t process_usage::*Count>
void process_of(const metrics_source& from, exposition& to) {
  to.put({}, from.process.*Count);
}

/// A time of STATS.
void times_of(const metrics_source& from, exposition& to, std::string_view name) {
  if (const auto* stats = from.says(actor_name::stats))
    for (const auto& [called, counts] : stats->times)
      if (called == name)
        to.put({}, counts);
}

template <class Tell>
void each_child(const metrics_source& from, Tell tell) {
  if (from.status)
    for (const auto& child : from.status->children)
      tell(child);
}

template <class Tell>
void each_actor(const metrics_source& from, Tell tell) {
  each_child(from, [&](const child_status& child) {
    if (child.says)
      tell(child.actor, *child.says);
  });
}

constexpr std::array reader_names{actor_name::reader, actor_name::inspector};

void put_for_readers(const metrics_source& from, exposition& to, std::string_view shown) {
  for (const auto* name : reader_names)
    if (const auto* reader = from.says(name))
      to.put({{"actor", name}}, reader->gauge(shown));
}

void put_waits(const metrics_source& from, exposition& to) {
  each_child(from, [&](const child_status& child) {
    for (auto kind : {wait_kind::actor, wait_kind::client, wait_kind::work}) {
      duration longest{};
      for (const auto& wait : child.waits)
        if (wait.kind == kind)
          longest = std::max(longest, wait.for_how_long);
      to.put({{"actor", child.actor}, {"for", to_string(kind)}}, seconds(longest));
    }
  });
}

void put_request_classes(const metrics_source& from, exposition& to) {
  for (size_t i = 1; i < from.http.by_class.size(); ++i)
    to.put({{"class", std::to_string(i) + "xx"}}, from.http.by_class[i]);
}

void put_request_times(const metrics_source& from, exposition& to) {
  constexpr std::array kinds{"ingest", "question", "other"};
  static_assert(kinds.size() == request_kinds);
  for (size_t i = 0; i < kinds.size(); ++i)
    to.put({{"kind", kinds[i]}}, from.http.took[i]);
}

template <class Value>
void put_for_loops(const metrics_source& from, exposition& to, Value value) {
  for (size_t i = 0; i < from.loops.size(); ++i)
    to.put({{"loop", std::to_string(i + 1)}}, value(from.loops[i]));
}

void put_states(const metrics_source& from, exposition& to) {
  for (auto state : {service_state::starting, service_state::ready, service_state::reloading,
                     service_state::lame_duck, service_state::stopping, service_state::stopped})
    if (from.status)
      to.put({{"state", to_string(state)}}, flag(from.status->state == state));
}

// -- the table ----------------------------------------------------------------------------------

constexpr std::array events_table{
  metric{"phi_events_received", counter, "Events read out of requests, valid or not.",
         ledger_of<&ledger_counts::received>},
  metric{"phi_events_stored", counter, "Events committed, each counted once.",
         ledger_of<&ledger_counts::stored>},
  metric{"phi_events_duplicate", counter, "Events that were known already by their identity.",
         ledger_of<&ledger_counts::duplicates>},
  metric{"phi_events_rejected", counter, "Events that were refused, and their sender told so.",
         [](const metrics_source& from, exposition& to) {
           if (const auto* stats = from.says(actor_name::stats))
             for (const auto& [reason, count] : stats->rejected)
               to.put({{"reason", reason}}, count);
         }},
  metric{"phi_events_spooled", gauge, "Events on local disk on their way to the database.",
         ledger_of<&ledger_counts::spooled>},
  metric{"phi_events_set_aside", gauge, "Events on local disk that the database will not have.",
         ledger_of<&ledger_counts::set_aside>},
  metric{"phi_events_in_queue", gauge, "Events in memory, waiting or in the commit under way.",
         ledger_of<&ledger_counts::in_queue>},
  metric{"phi_ledger_balanced", gauge, "Whether every event that came in is accounted for.",
         [](const metrics_source& from, exposition& to) {
           if (from.status && from.status->ledger)
             to.put({}, flag(from.status->ledger->balanced()));
         }},
  metric{"phi_ingest_refusing", gauge, "Whether who sends events now is refused.",
         actor_name::stats, gauge_name::refusing},
  metric{"phi_events_counted_as_other", counter,
         "Events with a value that counts under (other), for its day has too many.",
         actor_name::stats, gauge_name::counted_as_other},
  metric{"phi_identities_lost", gauge,
         "Identities of deleted events that the database knows no more.", actor_name::stats,
         gauge_name::identities_lost},
};

constexpr std::array queue_table{
  metric{"phi_queue_bytes", gauge, "Bytes of the events in the queue.", actor_name::stats,
         "queue_bytes"},
  metric{"phi_queue_limit_events", gauge, "Events that the queue may hold.",
         [](const metrics_source& from, exposition& to) {
           to.put({}, static_cast<uint64_t>(from.settings->stats.queue_max_events));
         }},
  metric{"phi_queue_limit_bytes", gauge, "Bytes that the queue may hold.",
         [](const metrics_source& from, exposition& to) {
           to.put({}, static_cast<uint64_t>(from.settings->stats.queue_max_bytes));
         }},
  metric{"phi_queue_oldest_age_seconds", gauge, "How long the oldest event has waited.",
         [](const metrics_source& from, exposition& to) {
           if (const auto* stats = from.says(actor_name::stats))
             to.put({}, static_cast<double>(stats->gauge(gauge_name::oldest_ms)) / 1000);
         }},
  metric{"phi_queue_drain_events_per_second", gauge, "Events that the database takes, as measured.",
         actor_name::stats, "drain_per_second"},
  metric{"phi_queue_drain_seconds", gauge, "Estimated time until the queue is empty.",
         [](const metrics_source& from, exposition& to) {
           if (const auto* stats = from.says(actor_name::stats))
             to.put({}, stats->backlog_s);
         }},
};

constexpr std::array store_table{
  metric{"phi_store_batches", counter, "Batches committed.", actor_name::store, "batches"},
  metric{"phi_store_batch_events", counter, "Events of the batches committed.", actor_name::store,
         "events"},
  metric{
    "phi_commit_duration_seconds", histogram, "Transactions that stored a batch.",
    [](const metrics_source& from, exposition& to) { times_of(from, to, times_name::commit); }},
  metric{"phi_flush_duration_seconds", histogram,
         "From the cut of a batch until the database has it.",
         [](const metrics_source& from, exposition& to) { times_of(from, to, times_name::flush); }},
  metric{"phi_spool_batches", gauge, "Batches on local disk.", actor_name::spool, "batches"},
  metric{"phi_spool_events", gauge, "Events on local disk.", actor_name::spool, gauge_name::events},
  metric{"phi_spool_bytes", gauge, "What the spool takes on disk.", actor_name::spool, "bytes"},
  metric{"phi_spool_limit_bytes", gauge, "What the spool may take on disk.",
         [](const metrics_source& from, exposition& to) {
           if (from.says(actor_name::spool))
             to.put({}, static_cast<uint64_t>(from.settings->spool.max_bytes));
         }},
  metric{"phi_spool_set_aside_batches", gauge, "Batches that the database will not have.",
         actor_name::spool, gauge_name::set_aside},
  metric{"phi_spool_appended_events", counter, "Events put on local disk.", actor_name::spool,
         "appended"},
  metric{"phi_spool_replayed_events", counter, "Events that have left it for the database.",
         actor_name::spool, "replayed"},
};

constexpr std::array question_table{
  metric{
    "phi_questions_answered", counter, "Questions answered.",
    [](const metrics_source& from, exposition& to) { put_for_readers(from, to, "questions"); }},
  metric{"phi_questions_dropped", counter, "Questions whose askers had gone.",
         [](const metrics_source& from, exposition& to) { put_for_readers(from, to, "dropped"); }},
  metric{"phi_question_duration_seconds", histogram, "Answering a question.",
         [](const metrics_source& from, exposition& to) {
           for (const auto* name : reader_names)
             if (const auto* reader = from.says(name))
               for (const auto& times : reader->times)
                 to.put({{"actor", name}}, times.counts);
         }},
};

constexpr std::array http_table{
  metric{"phi_http_connections", gauge, "Connections that are open.",
         http_of<&http_counts::connections>},
  metric{"phi_http_limit_connections", gauge, "Connections that may be open.",
         [](const metrics_source& from, exposition& to) {
           to.put({}, static_cast<uint64_t>(from.settings->server.max_connections));
         }},
  metric{"phi_http_requests_in_flight", gauge, "Requests received whole and not yet answered.",
         http_of<&http_counts::in_flight>},
  metric{"phi_http_requests", counter, "Requests answered.", put_request_classes},
  metric{"phi_http_requests_refused", counter, "Requests answered 503.",
         http_of<&http_counts::refused>},
  metric{"phi_http_request_duration_seconds", histogram, "From a whole request to its answer.",
         put_request_times},
  metric{"phi_http_connections_accepted", counter, "Connections taken.",
         http_of<&http_counts::accepted>},
  metric{"phi_http_connections_reset", counter, "Clients gone before their connection was taken.",
         http_of<&http_counts::reset_before_accept>},
  metric{"phi_http_accepts_failed", counter, "Tries to accept that the system refused.",
         http_of<&http_counts::failed_accepts>},
  metric{"phi_http_connections_held_back", counter,
         "Times that connections waited because all places were taken.",
         http_of<&http_counts::held_back>},
  metric{"phi_http_connections_made_room", counter, "Idle connections ended for others.",
         http_of<&http_counts::made_room>},
  metric{"phi_event_loop_silent_seconds", gauge, "How long an event loop has owed a sign of life.",
         [](const metrics_source& from, exposition& to) {
           put_for_loops(from, to, [](const loop_life& loop) { return seconds(loop.silent_for); });
         }},
  metric{"phi_event_loop_accepts", gauge, "Whether the listener of an event loop is open.",
         [](const metrics_source& from, exposition& to) {
           put_for_loops(from, to, [](const loop_life& loop) { return flag(loop.accepts); });
         }},
};

constexpr std::array actor_table{
  metric{"phi_actor_up", gauge, "Whether an actor runs.",
         [](const metrics_source& from, exposition& to) {
           each_child(from, [&](const child_status& child) {
             bool runs =
               child.state == actor_state::running || child.state == actor_state::stopping;
             to.put({{"actor", child.actor}}, flag(runs));
           });
         }},
  metric{"phi_actor_responding", gauge, "Whether an actor has said in time how it is.",
         [](const metrics_source& from, exposition& to) {
           each_child(from, [&](const child_status& child) {
             to.put({{"actor", child.actor}}, flag(child.says.has_value()));
           });
         }},
  metric{"phi_actor_restarts", counter, "Times that an actor died and was started again.",
         [](const metrics_source& from, exposition& to) {
           each_child(from, [&](const child_status& child) {
             to.put({{"actor", child.actor}}, uint64_t{child.restarts});
           });
         }},
  metric{"phi_actor_mailbox_messages", gauge, "Messages that wait for an actor.",
         [](const metrics_source& from, exposition& to) {
           each_actor(from, [&](const std::string& actor, const actor_status& says) {
             to.put({{"actor", actor}}, uint64_t{says.mailbox});
           });
         }},
  metric{"phi_actor_progress", counter, "Pieces of work that an actor has done.",
         [](const metrics_source& from, exposition& to) {
           each_actor(from, [&](const std::string& actor, const actor_status& says) {
             to.put({{"actor", actor}}, says.progress);
           });
         }},
  metric{"phi_actor_degraded", gauge, "Whether an actor says that its part is not whole.",
         [](const metrics_source& from, exposition& to) {
           each_actor(from, [&](const std::string& actor, const actor_status& says) {
             to.put({{"actor", actor}}, flag(!says.degraded.empty()));
           });
         }},
  metric{"phi_actor_wait_seconds", gauge,
         "How long an actor has been waiting, for another, for a client, or for work outside.",
         put_waits},
  metric{"phi_maintenance_steps", counter, "Steps of the maintenance.", actor_name::maintenance,
         "steps"},
  metric{"phi_maintenance_leads", gauge, "Whether the maintenance is this instance's duty.",
         actor_name::maintenance, "leads"},
  metric{"phi_maintenance_uncounted_bytes", gauge, "Lines of rows that no cube holds yet.",
         actor_name::maintenance, gauge_name::uncounted_bytes},
  metric{"phi_membership_beats", counter, "Renewals of the lease.", actor_name::membership,
         "beats"},
  metric{"phi_watchdog_rounds", counter, "Rounds of the watchdog.", actor_name::watchdog, "rounds"},
  metric{"phi_watchdog_late_actors", gauge, "Who owes the watchdog an answer.",
         actor_name::watchdog, "late"},
  metric{"phi_signals", counter, "Signals heard.", actor_name::signal, "signals"},
  metric{"phi_admin_requests", counter, "Requests of the admin socket.", actor_name::admin,
         "requests"},
};

constexpr std::array life_table{
  metric{"phi_build", info, "Which version runs.",
         [](const metrics_source& from, exposition& to) {
           to.put(
             {{"version", PHI_VERSION},
              {"storage",
               from.settings->resolved.storage == storage_kind::postgres ? "postgres" : "sqlite"}},
             uint64_t{1});
         }},
  metric{"phi_state", gauge, "In which state of its life the service is: one of them is 1.",
         put_states},
  metric{
    "phi_supervisor_responding", gauge, "Whether the supervisor has said in time how it is.",
    [](const metrics_source& from, exposition& to) { to.put({}, flag(from.status.has_value())); }},
  metric{
    "phi_health_degraded", gauge, "Whether anything is not as it should be.",
    [](const metrics_source& from, exposition& to) { to.put({}, flag(from.health.degraded())); }},
  metric{"phi_health_causes", gauge, "How many parts are not as they should be.",
         [](const metrics_source& from, exposition& to) {
           to.put({}, uint64_t{from.health.causes.size()});
         }},
  metric{"phi_reloads", counter, "Reloads of the settings.",
         [](const metrics_source& from, exposition& to) {
           to.put({{"result", "accepted"}}, from.life.reloads);
           to.put({{"result", "refused"}}, from.life.reloads_refused);
         }},
  metric{"phi_last_run_crashed", gauge, "Whether the run before this one left no report.",
         [](const metrics_source& from, exposition& to) {
           if (from.life.last)
             to.put({}, flag(from.life.last->crashed));
         }},
  metric{"phi_last_stop_exit_status", gauge, "Exit status of the run before this one.",
         [](const metrics_source& from, exposition& to) {
           if (from.life.last && !from.life.last->crashed)
             to.put({}, static_cast<uint64_t>(from.life.last->exit_code));
         }},
  metric{"phi_last_stop_duration_seconds", gauge, "How long its stop took.",
         [](const metrics_source& from, exposition& to) {
           if (from.life.last && !from.life.last->crashed)
             to.put({}, from.life.last->took_s);
         }},
  metric{"phi_last_stop_timestamp_seconds", gauge, "When it ended, or its crash was noticed.",
         [](const metrics_source& from, exposition& to) {
           if (from.life.last)
             to.put({}, seconds_of_us(from.life.last->at_us));
         }},
};

/// Of any process, by the names that all of them have.
constexpr std::array process_table{
  metric{
    "process_start_time_seconds", gauge, "When the process began.",
    [](const metrics_source& from, exposition& to) { to.put({}, seconds_of_us(from.started_us)); }},
  metric{"process_cpu_seconds", counter, "Time on a processor.",
         [](const metrics_source& from, exposition& to) {
           to.put({}, seconds(from.process.processor));
         }},
  metric{"process_resident_memory_bytes", gauge, "Memory that is resident.",
         process_of<&process_usage::resident_bytes>},
  metric{"process_virtual_memory_bytes", gauge, "Memory that is mapped.",
         process_of<&process_usage::virtual_bytes>},
  metric{"process_threads", gauge, "Threads.", process_of<&process_usage::threads>},
  metric{"process_open_fds", gauge, "Files that are open.", process_of<&process_usage::open_files>},
  metric{"process_max_fds", gauge, "Files that may be open.",
         process_of<&process_usage::most_open_files>},
};

template <class Table>
void write(const Table& table, const metrics_source& from, exposition& to) {
  for (const metric& row : table) {
    to.begin(row.name, row.type, row.help);
    if (row.tell)
      row.tell(from, to);
    else if (const auto* says = from.says(row.actor))
      to.put({}, says->gauge(row.shown));
  }
}

} // namespace

const actor_status* metrics_source::says(std::string_view actor) const {
  if (status)
    for (const auto& child : status->children)
      if (child.actor == actor && child.says)
        return &*child.says;
  return nullptr;
}

std::string write_metrics(const metrics_source& from, metrics_format format) {
  exposition to{format};
  write(events_table, from, to);
  write(queue_table, from, to);
  write(store_table, from, to);
  write(question_table, from, to);
  write(http_table, from, to);
  write(actor_table, from, to);
  write(life_table, from, to);
  write(process_table, from, to);
  return to.finish();
}

} // namespace phi
