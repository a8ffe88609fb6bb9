#include "actors/service_graph.hpp"

#include "actors/admin.hpp"
#include "actors/http.hpp"
#include "actors/maintenance.hpp"
#include "actors/membership.hpp"
#include "actors/reader.hpp"
#include "actors/signal.hpp"
#include "actors/spool.hpp"
#include "actors/stats.hpp"
#include "actors/store.hpp"
#include "actors/watchdog.hpp"

#include <algorithm>

namespace phi {

using std::chrono::milliseconds;

/// An actor: one row here, and one pair of files.
struct service_graph::row {
  const char* name;
  /// Its share of shutdown.timeout_secs, in percent.
  int64_t decltype(config::shutdown)::*share;
  /// Who must be gone before it is released. Those that are not there do not count.
  std::vector<const char*> users;
  bool own_thread = false; ///< it blocks; the others share a pool
  bool restartable = true;
  bool needed_in_stop = false; ///< see child_spec
  bool spared = false;         ///< see shutdown_plan::child
  bool watched = true;         ///< by the watchdog
  child_actor (*start)(service_graph& graph, child_identity who, bool own_thread) = nullptr;
  void (*given_up)(service_graph& graph) = nullptr;     ///< see child_spec; null: nothing
  bool (*exists)(const service_ports& ports) = nullptr; ///< null: always
};

template <class Behavior, class... Ts>
auto service_graph::spawn(bool own_thread, Behavior behavior, Ts&&... arguments) {
  return own_thread ? system_->spawn<caf::detached>(behavior, std::forward<Ts>(arguments)...)
                    : system_->spawn(behavior, std::forward<Ts>(arguments)...);
}

/// How each actor is started, and who learns of it; what is to be done when one is given up.
struct service_graph::starters {
  static child_actor http(service_graph& graph, child_identity who, bool own_thread) {
    return graph.spawn(own_thread, http_behavior, std::move(who), graph.ports_.http);
  }

  static void http_given_up(service_graph& graph) { graph.ports_.http->stop_accepting(); }

  static child_actor stats(service_graph& graph, child_identity who, bool own_thread) {
    auto stats =
      graph.spawn(own_thread, stats_behavior, std::move(who), graph.current_->get<store_actor>(),
                  graph.current_->get<spool_actor>(), stats_settings_of(*graph.settings_));
    graph.current_->set(stats);
    tell_from_outside(graph.current_->get<spool_actor>(), atom::attach_v,
                      spool_listener_actor{stats});
    return stats;
  }

  static child_actor reader(service_graph& graph, child_identity who, bool own_thread) {
    auto reader = graph.spawn(own_thread, reader_behavior, std::move(who), graph.ports_.reader,
                              graph.query_timeout());
    graph.current_->set(reader);
    return reader;
  }

  static child_actor inspector(service_graph& graph, child_identity who, bool own_thread) {
    auto inspector = graph.spawn(own_thread, inspector_behavior, std::move(who),
                                 graph.ports_.inspector, graph.query_timeout());
    graph.current_->set(inspector);
    return inspector;
  }

  static child_actor spool(service_graph& graph, child_identity who, bool own_thread) {
    auto spool = graph.spawn(own_thread, spool_behavior, std::move(who), graph.ports_.spool,
                             graph.current_->get<store_actor>());
    graph.current_->set(spool);
    auto stats = graph.current_->get<stats_actor>();
    tell_from_outside(stats, atom::attach_v, spool);
    if (stats)
      tell_from_outside(spool, atom::attach_v, spool_listener_actor{stats});
    return spool;
  }

  static void spool_given_up(service_graph& graph) {
    tell_from_outside(graph.current_->get<stats_actor>(), atom::attach_v, spool_actor{});
  }

  static child_actor store(service_graph& graph, child_identity who, bool own_thread) {
    auto store = graph.spawn(own_thread, store_behavior, std::move(who), graph.ports_.store);
    graph.current_->set(store);
    tell_from_outside(graph.current_->get<stats_actor>(), atom::attach_v, store);
    tell_from_outside(graph.current_->get<spool_actor>(), atom::attach_v, store);
    return store;
  }

  static void store_given_up(service_graph& graph) {
    tell_from_outside(graph.current_->get<stats_actor>(), atom::attach_v, store_actor{});
  }

  static child_actor maintenance(service_graph& graph, child_identity who, bool own_thread) {
    auto maintenance =
      graph.spawn(own_thread, maintenance_behavior, std::move(who), graph.ports_.maintenance);
    graph.current_->set(maintenance);
    return maintenance;
  }

  static child_actor membership(service_graph& graph, child_identity who, bool own_thread) {
    auto membership =
      graph.spawn(own_thread, membership_behavior, std::move(who), graph.ports_.cluster,
                  [current = graph.current_] { return current->get<maintenance_actor>(); });
    graph.current_->set(membership);
    return membership;
  }

  static child_actor watchdog(service_graph& graph, child_identity who, bool own_thread) {
    auto supervisor = who.supervisor;
    auto watchdog =
      graph.spawn(own_thread, watchdog_behavior, std::move(who),
                  watchdog_settings_of(*graph.settings_, graph.ports_.watch->manager_limit()),
                  graph.ports_.watch, graph.activities_);
    graph.current_->set(watchdog);
    graph.register_with_watchdog(actor_name::supervisor, supervisor);
    // Those who were there before it, or before it was restarted.
    for (const auto& [name, actor] : graph.watched_)
      tell_from_outside(watchdog, atom::attach_v, name, actor);
    return watchdog;
  }

  static child_actor signal(service_graph& graph, child_identity who, bool own_thread) {
    return graph.spawn(own_thread, signal_behavior, std::move(who),
                       [signals = graph.ports_.signals](const signal_actor& actor) {
                         signals->attach([actor](const heard_signal& signal) {
                           tell_urgent_from_outside(actor, atom::signaled_v, signal);
                         });
                       });
  }

  static child_actor admin(service_graph& graph, child_identity who, bool own_thread) {
    auto admin =
      graph.spawn(own_thread, admin_behavior, std::move(who), graph.ports_.console,
                  [socket = graph.ports_.admin](const admin_actor& actor) {
                    return socket->open([actor](admin_request_ptr request) {
                      tell_urgent_from_outside(actor, atom::command_v, std::move(request));
                    });
                  });
    graph.current_->set(admin);
    return admin;
  }
};

/// ADMIN is first up and last to go: who asks is answered to the very end.
const std::vector<service_graph::row>& service_graph::rows() {
  using keys = decltype(config::shutdown);
  static const std::vector<row> table{
    {.name = actor_name::http,
     .share = &keys::http_budget_percent,
     .needed_in_stop = true,
     .start = &starters::http,
     .given_up = &starters::http_given_up},
    {.name = actor_name::stats,
     .share = &keys::stats_budget_percent,
     .users = {actor_name::http},
     .restartable = false,
     .spared = true,
     .start = &starters::stats},
    {.name = actor_name::reader,
     .share = &keys::reader_budget_percent,
     .users = {actor_name::http},
     .own_thread = true,
     .start = &starters::reader},
    {.name = actor_name::inspector,
     .share = &keys::reader_budget_percent,
     .own_thread = true,
     .start = &starters::inspector},
    {.name = actor_name::maintenance,
     .share = &keys::maintenance_budget_percent,
     .own_thread = true,
     .start = &starters::maintenance,
     .exists = [](const service_ports& ports) { return ports.maintenance != nullptr; }},
    {.name = actor_name::spool,
     .share = &keys::spool_budget_percent,
     .users = {actor_name::stats},
     .own_thread = true,
     .needed_in_stop = true,
     .start = &starters::spool,
     .given_up = &starters::spool_given_up,
     .exists = [](const service_ports& ports) { return ports.spool != nullptr; }},
    {.name = actor_name::store,
     .share = &keys::store_budget_percent,
     .users = {actor_name::stats, actor_name::reader, actor_name::inspector, actor_name::spool},
     .own_thread = true,
     .needed_in_stop = true,
     .start = &starters::store,
     .given_up = &starters::store_given_up},
    {.name = actor_name::membership,
     .share = &keys::membership_budget_percent,
     .users = {actor_name::store, actor_name::maintenance},
     .own_thread = true,
     .start = &starters::membership,
     .exists = [](const service_ports& ports) { return ports.cluster != nullptr; }},
    {.name = actor_name::watchdog,
     .share = &keys::watchdog_budget_percent,
     .users = {actor_name::store, actor_name::membership},
     .own_thread = true,
     .watched = false, // nobody watches itself; the supervisor does
     .start = &starters::watchdog},
    {.name = actor_name::signal,
     .share = &keys::signal_budget_percent,
     .users = {actor_name::watchdog},
     .restartable = false,
     .start = &starters::signal},
    {.name = actor_name::admin,
     .share = &keys::admin_budget_percent,
     .users = {actor_name::signal},
     .needed_in_stop = true,
     .start = &starters::admin},
  };
  return table;
}

service_graph::service_graph(config_ptr settings, service_ports ports,
                             std::shared_ptr<current_actors> current, threads use)
  : settings_(std::move(settings)),
    ports_(std::move(ports)),
    current_(std::move(current)),
    threads_(use) {
  activities_[actor_name::supervisor] = std::make_shared<activity>();
}

std::vector<child_spec> service_graph::children(caf::actor_system& system) {
  system_ = &system;
  std::vector<child_spec> out;
  for (const auto& row : rows())
    if (!row.exists || row.exists(ports_))
      out.push_back(describe(row, out));
  return out;
}

child_spec service_graph::describe(const row& entry, const std::vector<child_spec>& before) {
  auto budget = [share = entry.share](const config& c) -> duration {
    return milliseconds{c.shutdown.timeout_secs * 10 * (c.shutdown.*share)};
  };
  std::vector<size_t> users;
  for (size_t i = 0; i < before.size(); ++i)
    if (std::find(entry.users.begin(), entry.users.end(), before[i].name) != entry.users.end())
      users.push_back(i);
  auto seen_at = std::make_shared<activity>();
  activities_[entry.name] = seen_at;
  child_spec out{.name = entry.name,
                 .budget = budget(*settings_),
                 .budget_of = budget,
                 .users = std::move(users),
                 .restartable = entry.restartable,
                 .needed_in_stop = entry.needed_in_stop,
                 .spared = entry.spared,
                 .seen_at = seen_at,
                 .start = [this, &entry, seen_at](supervisor_actor supervisor) {
                   return start(entry, {entry.name, std::move(supervisor), seen_at});
                 }};
  if (entry.given_up)
    out.given_up = [this, &entry] { entry.given_up(*this); };
  return out;
}

child_actor service_graph::start(const row& entry, child_identity who) {
  auto actor = entry.start(*this, std::move(who), entry.own_thread && threads_ == threads::own);
  if (entry.watched)
    register_with_watchdog(entry.name, actor);
  return actor;
}

void service_graph::register_with_watchdog(const std::string& name, const pingable_actor& actor) {
  watched_[name] = actor;
  tell_from_outside(current_->get<watchdog_actor>(), atom::attach_v, name, actor);
}

void service_graph::release_handles() {
  ports_.signals->attach({});
  current_->clear();
  watched_.clear();
  ports_.http->release_handles();
  ports_.admin->release_handles();
  for (const auto& [name, seen_at] : activities_)
    seen_at->learn_waits_from({});
}

duration service_graph::query_timeout() const {
  return milliseconds{settings_->stats.query_timeout_ms};
}

} // namespace phi
