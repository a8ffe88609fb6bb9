#include "server/run.hpp"

#include "actors/service_graph.hpp"
#include "config/defaults.hpp"
#include "protocol/platform/process.hpp"
#include "protocol/state_files.hpp"
#include "server/admin/admin_socket.hpp"
#include "server/admin/console.hpp"
#include "server/backend.hpp"
#include "server/http/http_server.hpp"
#include "server/observe/trace_wish.hpp"
#include "server/platform/listener_probe.hpp"
#include "server/platform/signals.hpp"
#include "server/process/database_place.hpp"
#include "server/process/service.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/spool/spool_file.hpp"
#include "server/store/sqlite/ports.hpp"
#include "server/systemd/inherited.hpp"

namespace phi {
namespace {

void configure(caf::actor_system_config& caf_settings) {
  // The default policy polls and costs 13 % of a core at rest.
  caf_settings.set("scheduler.policy", caf::atom("sharing"));
  caf_settings.set("scheduler.max-threads", size_t{2});
}

exit_code fail_start(state_directory& state, last_resort& resort, systemd::service_manager& manager,
                     const std::string& why) {
  log_error("supervisor", "cannot start", {{"cause", why}});
  manager.stopping("cannot start: " + why);
  exit_report report{
    .reason = stop_reason::startup_failed, .code = exit_code::startup_failed, .detail = why};
  if (state.taken())
    if (auto kept = state.end_run_within(report, defaults::report_file_limit); !kept)
      log_warn("supervisor", "cannot keep the report", {{"cause", kept.why()}});
  resort.leave_quietly(clock::now() + defaults::teardown_limit, report.code);
  return report.code;
}

/// The log first: the disk of the state directory may be what hangs.
void say_last_words(const exit_report& report, systemd::service_manager& manager,
                    process_log& log) {
  log_error("supervisor", "is forced to leave", {{"survivors", survivors(report)}});
  log_report(report);
  manager.status("forced to leave: " + survivors(report));
  log.flush(last_resort::say_limit);
}

/// A non-owning pointer to something that outlives the actor system.
template <class Port, class Thing>
std::shared_ptr<Port> borrowed(Thing& thing) {
  return {std::shared_ptr<void>{}, &thing};
}

service_ports make_sqlite_ports(const config& settings) {
  auto store_settings = store::sqlite_settings_of(settings);
  return {.store = store::make_sqlite_store(store_settings),
          .reader = store::make_sqlite_reader(store_settings),
          .inspector = store::make_sqlite_reader(store_settings)};
}

service_ports make_postgres_ports(const config& settings) {
  auto store_settings = store::postgres_settings_of(settings);
  service_ports out{.store = store::make_postgres_store(store_settings),
                    .reader = store::make_postgres_reader(store_settings),
                    .inspector = store::make_postgres_reader(store_settings)};
  out.maintenance = store::make_postgres_maintenance(store_settings);
  out.cluster = store::make_postgres_cluster(store_settings);
  if (settings.spool.enabled)
    out.spool = store::make_sqlite_spool(store::spool_settings_of(settings));
  return out;
}

service_ports make_store_ports(const config& settings) {
  switch (settings.resolved.storage) {
    case storage_kind::sqlite: return make_sqlite_ports(settings);
    case storage_kind::postgres: return make_postgres_ports(settings);
  }
  return {};
}

/// Takes the state directory and the database; else the service cannot start.
outcome take_places(const config& settings, state_directory& state, api::token_store& tokens) {
  for (const auto& done : {state.taken(), tokens.loaded()})
    if (!done)
      return done;
  if (auto taken = take_database_place(settings); !taken)
    return taken;
  if (!state.crash_notice().empty())
    log_warn("supervisor", "notices that " + state.crash_notice());
  store::remove_left_copies(settings.resolved.state_dir);
  return {};
}

/// What is known of the runs before this one; in memory only where the directory is another's.
std::string life_file(const config& settings, const state_directory& state) {
  return state.taken() ? state_files::path(settings.resolved.state_dir, state_files::lifecycle)
                       : std::string{};
}

/// Before the report of this run takes the place of that of the last.
void learn_end(const state_directory& state, life_history& life) {
  if (!life.trouble().empty())
    log_warn("supervisor", life.trouble());
  if (const auto& last = state.last_run())
    life.learn_end(*last);
}

void begin_run(state_directory& state, life_history& life) {
  if (auto begun = state.begin_run(); !begun)
    log_warn("supervisor", "cannot mark its run: a crash would pass unnoticed",
             {{"cause", begun.why()}});
  life.begin_run(state.run_id(), PHI_VERSION);
}

/// The configured one, or our own of the state directory.
result<std::string> salt_of(const config& settings, state_directory& state) {
  const auto& configured = settings.stats.user_hash_salt.value;
  return configured.empty() ? state.own_salt() : result<std::string>{configured};
}

/// The parts of the service that are no actors. `from_outside`: how the listener is to a client.
std::vector<outside_part> inspect_listener(http_port& http, uint64_t max_connections,
                                           const listener_probe::finding& from_outside) {
  std::vector<outside_part> out;
  auto loops = http.loops_alive();
  bool frozen = false;
  for (size_t i = 0; i < loops.size(); ++i) {
    out.push_back({.name = "event loop " + std::to_string(i + 1),
                   .silent = loops[i].silent_for,
                   .part = part_name::event_loop(i + 1)});
    frozen |= loops[i].silent_for >= defaults::health_interval;
  }
  bool full = http.counts().connections >= max_connections;
  out.push_back({.name = "public listener",
                 .silent = from_outside.failing_for,
                 .doing = full ? "all " + std::to_string(max_connections) + " connections are taken"
                               : from_outside.why,
                 .busy = full || frozen, // then it is not the listener that is to blame
                 .part = part_name::public_listener});
  return out;
}

/// From the first actor to the last.
exit_code run_actors(service_graph& graph, const config& settings, service& process,
                     const systemd::service_manager& manager) {
  caf::actor_system_config caf_settings;
  configure(caf_settings);
  caf::actor_system system{caf_settings};
  before_hand_over();
  system.spawn<caf::detached>(supervisor_behavior, graph.children(system),
                              supervisor_settings_of(settings, process.watchdog_silence(settings)),
                              borrowed<service_port>(process), graph.supervisor_activity());
  if (manager.present()) // in this thread, which has nothing else to do: no start waits for the bus
    if (auto limits = systemd::limits_of_own_unit())
      process.learn_limits(*limits);
  auto code = process.wait();
  graph.release_handles();
  return code;
}

} // namespace

exit_code run_service(const settings_source& source, const loaded_config& loaded, process_log& log,
                      last_resort& resort) {
  const auto& settings = loaded.values;
  log_info(
    "supervisor", "starts",
    {{"version", PHI_VERSION}, {"pid", process_id()}, {"state_dir", settings.resolved.state_dir}});
  systemd::service_manager manager;
  auto inherited = systemd::take_inherited_sockets();
  state_directory state{settings.resolved.state_dir};
  life_history life{life_file(settings, state)};
  learn_end(state, life);
  trace_recorder trace; // outlives the actors: a stop is traced to the last of them
  last_words_scope words{resort,
                         {[&](const exit_report& report) { say_last_words(report, manager, log); },
                          [&](const exit_report& report) {
                            state.end_run(report).ignore("the mark says it");
                            trace.off();
                          }}};
  signal_source signals{[&] { resort.leave_now(); }};
  auto tokens = std::make_shared<api::token_store>(
    state_files::path(settings.resolved.state_dir, state_files::tokens));
  if (!inherited)
    return fail_start(state, resort, manager, inherited.why());
  if (auto taken = take_places(settings, state, *tokens); !taken)
    return fail_start(state, resort, manager, taken.why());
  auto salt = salt_of(settings, state);
  if (!salt)
    return fail_start(state, resort, manager, salt.why());
  begin_run(state, life);
  trace_if_asked(trace);

  auto current = std::make_shared<const config>(settings);
  process_watch watch{manager, settings.shutdown.watchdog.abort,
                      [&](const std::string& stuck) { state.note_stuck(stuck); }};
  watch.on_health = [&](const health_view& health) { life.observe(health); };
  service process{{state, resort, log, source, manager, watch, life}, current, loaded.origins};
  auto ports = make_store_ports(settings);
  auto actors = std::make_shared<current_actors>();
  auto to_actors = std::make_shared<backend>(actors, &watch.board());
  auto http = http::make_http_server(settings, *salt, to_actors, tokens, std::move(*inherited));
  console console{process,
                  log,
                  source,
                  trace,
                  watch,
                  to_actors,
                  tokens,
                  *salt,
                  {.listeners = [http] { return http->addresses(); },
                   .http_counts_now = [http] { return http->counts(); },
                   .loops_alive = [http] { return http->loops_alive(); },
                   .database_id = [store = ports.store] { return store->database_id(); }}};
  admin_socket admin{settings.resolved.admin_socket, settings.admin.group};
  listener_probe probe{[&] { return http->addresses(); }};
  watch.on_inspect_parts = [&, most = static_cast<uint64_t>(settings.server.max_connections)] {
    return inspect_listener(*http, most, probe.last());
  };
  watch.on_rest = [&] { probe.rest(); };
  process.on_ready_changed = [&](bool ready) { http->set_ready(ready); };

  ports.http = http;
  ports.watch = borrowed<watch_port>(watch);
  ports.console = borrowed<console_port>(console);
  ports.signals = borrowed<signal_port>(signals);
  ports.admin = borrowed<admin_port>(admin);
  service_graph graph{current, std::move(ports), actors};
  return run_actors(graph, settings, process, manager);
}

} // namespace phi
