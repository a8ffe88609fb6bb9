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
  bool accepts_clients = false; ///< see child_spec
  bool spared = false;          ///< see shutdown_plan::child
  bool watched = true;          ///< by the watchdog
  child_actor (service_graph::*start)(child_identity who, bool own_thread) = nullptr;
  void (service_graph::*given_up)() = nullptr;          ///< see child_spec; null: nothing
  bool (*exists)(const service_ports& ports) = nullptr; ///< null: always
};

/// ADMIN is first up and last to go: who asks is answered to the very end.
const std::vector<service_graph::row>& service_graph::rows() {
  using keys = decltype(config::shutdown);
  using graph = service_graph;
  static const std::vector<row> table{
    {.name = actor_name::http,
     .share = &keys::http_budget_percent,
     .accepts_clients = true,
     .start = &graph::start_http,
     .given_up = &graph::http_given_up},
    {.name = actor_name::stats,
     .share = &keys::stats_budget_percent,
     .users = {actor_name::http},
     .restartable = false,
     .spared = true,
     .start = &graph::start_stats},
    {.name = actor_name::reader,
     .share = &keys::reader_budget_percent,
     .users = {actor_name::http},
     .own_thread = true,
     .start = &graph::start_reader},
    {.name = actor_name::inspector,
     .share = &keys::reader_budget_percent,
     .own_thread = true,
     .start = &graph::start_inspector},
    {.name = actor_name::maintenance,
     .share = &keys::maintenance_budget_percent,
     .own_thread = true,
     .start = &graph::start_maintenance,
     .exists = [](const service_ports& ports) { return ports.maintenance != nullptr; }},
    {.name = actor_name::spool,
     .share = &keys::spool_budget_percent,
     .users = {actor_name::stats},
     .own_thread = true,
     .start = &graph::start_spool,
     .exists = [](const service_ports& ports) { return ports.spool != nullptr; }},
    {.name = actor_name::store,
     .share = &keys::store_budget_percent,
     .users = {actor_name::stats, actor_name::reader, actor_name::inspector, actor_name::spool},
     .own_thread = true,
     .start = &graph::start_store,
     .given_up = &graph::store_given_up},
    {.name = actor_name::membership,
     .share = &keys::membership_budget_percent,
     .users = {actor_name::store, actor_name::maintenance},
     .own_thread = true,
     .start = &graph::start_membership,
     .exists = [](const service_ports& ports) { return ports.cluster != nullptr; }},
    {.name = actor_name::watchdog,
     .share = &keys::watchdog_budget_percent,
     .users = {actor_name::store, actor_name::membership},
     .own_thread = true,
     .watched = false, // nobody watches itself; the supervisor does
     .start = &graph::start_watchdog},
    {.name = actor_name::signal,
     .share = &keys::signal_budget_percent,
     .users = {actor_name::watchdog},
     .restartable = false,
     .start = &graph::start_signal},
    {.name = actor_name::admin,
     .share = &keys::admin_budget_percent,
     .users = {actor_name::signal},
     .accepts_clients = true,
     .start = &graph::start_admin},
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

child_spec service_graph::describe(const row& of, const std::vector<child_spec>& before) {
  auto budget = [share = of.share](const config& c) -> duration {
    return milliseconds{c.shutdown.timeout_secs * 10 * (c.shutdown.*share)};
  };
  std::vector<size_t> users;
  for (size_t i = 0; i < before.size(); ++i)
    if (std::find(of.users.begin(), of.users.end(), before[i].name) != of.users.end())
      users.push_back(i);
  auto seen_at = std::make_shared<activity>();
  activities_[of.name] = seen_at;
  child_spec out{.name = of.name,
                 .budget = budget(*settings_),
                 .budget_of = budget,
                 .users = std::move(users),
                 .restartable = of.restartable,
                 .accepts_clients = of.accepts_clients,
                 .spared = of.spared,
                 .seen_at = seen_at,
                 .start = [this, &of, seen_at](supervisor_actor supervisor) {
                   return start(of, {of.name, std::move(supervisor), seen_at});
                 }};
  if (of.given_up)
    out.given_up = [this, &of] { (this->*of.given_up)(); };
  return out;
}

child_actor service_graph::start(const row& of, child_identity who) {
  auto actor = (this->*of.start)(std::move(who), of.own_thread && threads_ == threads::own);
  if (of.watched)
    register_with_watchdog(of.name, actor);
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

template <class Behavior, class... Ts>
auto service_graph::spawn(bool own_thread, Behavior behavior, Ts&&... arguments) {
  return own_thread ? system_->spawn<caf::detached>(behavior, std::forward<Ts>(arguments)...)
                    : system_->spawn(behavior, std::forward<Ts>(arguments)...);
}

// -- how each is started, and who learns of it
// ------------------------------------------------------

child_actor service_graph::start_http(child_identity who, bool own_thread) {
  return spawn(own_thread, http_behavior, std::move(who), ports_.http);
}

void service_graph::http_given_up() {
  ports_.http->stop_accepting();
}

child_actor service_graph::start_stats(child_identity who, bool own_thread) {
  auto stats = spawn(own_thread, stats_behavior, std::move(who), current_->get<store_actor>(),
                     current_->get<spool_actor>(), stats_settings_of(*settings_));
  current_->set(stats);
  tell_from_outside(current_->get<spool_actor>(), atom::attach_v, spool_listener_actor{stats});
  return stats;
}

child_actor service_graph::start_reader(child_identity who, bool own_thread) {
  auto reader = spawn(own_thread, reader_behavior, std::move(who), ports_.reader, query_timeout());
  current_->set(reader);
  return reader;
}

child_actor service_graph::start_inspector(child_identity who, bool own_thread) {
  auto inspector =
    spawn(own_thread, inspector_behavior, std::move(who), ports_.inspector, query_timeout());
  current_->set(inspector);
  return inspector;
}

child_actor service_graph::start_spool(child_identity who, bool own_thread) {
  auto spool =
    spawn(own_thread, spool_behavior, std::move(who), ports_.spool, current_->get<store_actor>());
  current_->set(spool);
  auto stats = current_->get<stats_actor>();
  tell_from_outside(stats, atom::attach_v, spool);
  if (stats)
    tell_from_outside(spool, atom::attach_v, spool_listener_actor{stats});
  return spool;
}

child_actor service_graph::start_store(child_identity who, bool own_thread) {
  auto store = spawn(own_thread, store_behavior, std::move(who), ports_.store);
  current_->set(store);
  tell_from_outside(current_->get<stats_actor>(), atom::attach_v, store);
  tell_from_outside(current_->get<spool_actor>(), atom::attach_v, store);
  return store;
}

void service_graph::store_given_up() {
  tell_from_outside(current_->get<stats_actor>(), atom::attach_v, store_actor{});
}

child_actor service_graph::start_maintenance(child_identity who, bool own_thread) {
  auto maintenance = spawn(own_thread, maintenance_behavior, std::move(who), ports_.maintenance);
  current_->set(maintenance);
  return maintenance;
}

child_actor service_graph::start_membership(child_identity who, bool own_thread) {
  auto membership = spawn(own_thread, membership_behavior, std::move(who), ports_.cluster,
                          [current = current_] { return current->get<maintenance_actor>(); });
  current_->set(membership);
  return membership;
}

child_actor service_graph::start_watchdog(child_identity who, bool own_thread) {
  auto supervisor = who.supervisor;
  auto watchdog = spawn(own_thread, watchdog_behavior, std::move(who),
                        watchdog_settings_of(*settings_, ports_.watch->manager_limit()),
                        ports_.watch, activities_);
  current_->set(watchdog);
  register_with_watchdog(actor_name::supervisor, supervisor);
  // Those who were there before it, or before it was restarted.
  for (const auto& [name, actor] : watched_)
    tell_from_outside(watchdog, atom::attach_v, name, actor);
  return watchdog;
}

child_actor service_graph::start_signal(child_identity who, bool own_thread) {
  return spawn(own_thread, signal_behavior, std::move(who),
               [signals = ports_.signals](const signal_actor& actor) {
                 signals->attach([actor](const heard_signal& signal) {
                   tell_urgent_from_outside(actor, atom::signaled_v, signal);
                 });
               });
}

child_actor service_graph::start_admin(child_identity who, bool own_thread) {
  return spawn(own_thread, admin_behavior, std::move(who), ports_.console,
               [admin = ports_.admin](const admin_actor& actor) {
                 return admin->open([actor](admin_request_ptr request) {
                   tell_urgent_from_outside(actor, atom::command_v, std::move(request));
                 });
               });
}

} // namespace phi
