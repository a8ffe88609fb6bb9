#include "server/wiring.hpp"

#include "actors/admin.hpp"
#include "actors/health_board.hpp"
#include "actors/http.hpp"
#include "actors/keeper.hpp"
#include "actors/questions.hpp"
#include "actors/reader.hpp"
#include "actors/signal.hpp"
#include "actors/spool.hpp"
#include "actors/stats.hpp"
#include "actors/status_json.hpp"
#include "actors/store.hpp"
#include "actors/supervisor.hpp"
#include "actors/watchdog.hpp"
#include "config/defaults.hpp"
#include "server/admin/admin_socket.hpp"
#include "server/admin/console.hpp"
#include "server/http/http_server.hpp"
#include "server/platform/posix/listener_probe.hpp"
#include "server/platform/posix/signals.hpp"
#include "server/process/database_place.hpp"
#include "server/process/service.hpp"
#include "server/store/postgres/ports.hpp"
#include "server/store/spool/spool_file.hpp"
#include "server/store/sqlite/ports.hpp"
#include "server/systemd/inherited.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <set>
#include <sstream>
#include <tuple>
#include <unistd.h>

namespace phi {
namespace {

using std::chrono::milliseconds;

/// How the event loops reach the actors. The handles change when an actor is restarted.
class backend : public backend_port {
public:
  void submit(ingest_turn_ptr turn) override {
    tell_from_outside(get<stats_actor>(), atom::ingest_v, std::move(turn));
  }
  void ask(asked_query_ptr question) override {
    switch (question->what.kind) {
      case query_kind::spool_show:
      case query_kind::spool_check:
      case query_kind::spool_requeue:
        return ask_if_there<spool_actor>(
          std::move(question), "there is no spool: it takes events only while PostgreSQL is"
                               " away (stats.storage, spool.enabled)");
      case query_kind::cluster_want:
      case query_kind::cluster_forget:
      case query_kind::cluster_take_turn:
      case query_kind::cluster_give_turn:
        return ask_if_there<keeper_actor>(std::move(question),
                                          "this instance is alone: several share one database with"
                                          " stats.storage = \"postgres\"");
      default: return ask_reader(std::move(question));
    }
  }
  void ask_health(asked_query_ptr question) override {
    auto view = health();
    question->what.causes = question->what.in_full ? view.causes : view.in_short;
    // Who counts is the one who ails: the rest is told without it.
    for (const auto& cause : view.causes)
      if (cause.starts_with("stats: has not answered") || cause.starts_with("stats: is "))
        return question->reply.answer({.body = health_json({}, question->what.causes)});
    tell_urgent_from_outside(get<stats_actor>(), atom::ask_v, std::move(question));
  }
  health_view health() const override {
    return board_ ? board_->read(clock::now()) : health_view{};
  }
  /// Before the first question. `board` outlives the actors.
  void read_health_from(const health_board& board) { board_ = &board; }

  template <class Actor>
  void use(Actor now) {
    std::lock_guard lock{mutex_};
    std::get<Actor>(actors_) = std::move(now);
  }
  /// Who answers what takes long.
  void use_inspector(reader_actor now) {
    std::lock_guard lock{mutex_};
    inspector_ = std::move(now);
  }

private:
  template <class Actor>
  Actor get() {
    std::lock_guard lock{mutex_};
    return std::get<Actor>(actors_);
  }

  void ask_reader(asked_query_ptr question) {
    if (!gate_.admit(question))
      return question->reply.answer(
        {error_code::too_many_questions,
         std::to_string(defaults::questions_waiting) + " questions wait already; ask again later",
         {}});
    reader_actor reader;
    {
      std::lock_guard lock{mutex_};
      reader = is_long(question->what.kind) ? inspector_ : std::get<reader_actor>(actors_);
    }
    tell_from_outside(reader, atom::ask_v, std::move(question));
  }

  /// Of an actor that is only there with PostgreSQL; `without` says so.
  template <class Actor>
  void ask_if_there(asked_query_ptr question, const char* without) {
    auto now = get<Actor>();
    if (!now)
      return question->reply.answer({error_code::invalid_query, without, {}});
    tell_from_outside(now, atom::ask_v, std::move(question));
  }

  std::mutex mutex_;
  std::tuple<stats_actor, reader_actor, spool_actor, keeper_actor> actors_;
  const health_board* board_ = nullptr;
  reader_actor inspector_;
  question_gate gate_{defaults::questions_waiting};
};

/// Everything that the actors stand on, and the handles by which they find each other. Outlives the
/// actor system but for the handles, which are let go first.
class house {
public:
  house(config_ptr settings, signal_source& signals, watch_port_ptr watch, console_port_ptr console,
        std::shared_ptr<backend> to_actors, std::shared_ptr<const api::token_book> tokens,
        const std::string& salt, std::vector<owned_fd> listeners)
    : settings_(std::move(settings)),
      signals_(signals),
      watch_(std::move(watch)),
      console_(std::move(console)),
      backend_(std::move(to_actors)),
      admin_(settings_->resolved.admin_socket, settings_->admin.group),
      http_(http::make_http_server(*settings_, salt, backend_, std::move(tokens),
                                   std::move(listeners))) {
    activities_["supervisor"] = std::make_shared<activity>();
    if (settings_->stats.storage == "postgres")
      stand_on_postgres();
    else
      stand_on_sqlite();
  }

  /// The children in stop order: whoever serves comes after those whom it serves. ADMIN is first up
  /// and last to go: who asks is answered to the very end.
  std::vector<child_spec> children(caf::actor_system& system) {
    system_ = &system;
    using keys = decltype(config::shutdown);
    describe("http", &keys::http_budget_percent, {}, true, &house::start_http);
    children_.back().accepts_clients = true;
    children_.back().given_up = [this] { http_->stop_accepting(); };
    describe("stats", &keys::stats_budget_percent, {"http"}, false, &house::start_stats);
    children_.back().spared = true;
    describe("reader", &keys::reader_budget_percent, {"http"}, true, &house::start_reader);
    describe("inspector", &keys::reader_budget_percent, {}, true, &house::start_inspector);
    if (spool_)
      describe("spool", &keys::spool_budget_percent, {"stats"}, true, &house::start_spool);
    describe("store", &keys::store_budget_percent, {"stats", "reader", "inspector", "spool"}, true,
             &house::start_store);
    children_.back().given_up = [this] {
      tell_from_outside(stats_handle_, atom::attach_v, store_actor{});
    };
    if (cluster_)
      describe("keeper", &keys::keeper_budget_percent, {"store"}, true, &house::start_keeper);
    describe("watchdog", &keys::watchdog_budget_percent, {"store", "keeper"}, true,
             &house::start_watchdog);
    describe("signal", &keys::signal_budget_percent, {"watchdog"}, false, &house::start_signal);
    describe("admin", &keys::admin_budget_percent, {"signal"}, true, &house::start_admin);
    children_.back().accepts_clients = true;
    return std::move(children_);
  }

  const activity_ptr& own_activity() { return activities_["supervisor"]; }

  void set_ready(bool ready) { http_->set_ready(ready); }

  /// The parts of the service that are no actors. `from_outside`: how the listener is to a client.
  std::vector<outside_part> look_around(const listener_probe::result& from_outside) {
    std::vector<outside_part> out;
    auto loops = http_->loops_alive();
    bool frozen = false;
    for (size_t i = 0; i < loops.size(); ++i) {
      out.push_back({"event loop " + std::to_string(i + 1), loops[i].silent_for, "", false});
      frozen |= loops[i].silent_for >= defaults::health_interval;
    }
    auto most = static_cast<uint64_t>(settings_->server.max_connections);
    bool full = http_->counts().connections >= most;
    out.push_back(
      {"public listener", from_outside.failing_for,
       full ? "all " + std::to_string(most) + " connections are taken" : from_outside.trouble,
       full || frozen}); // then it is not the listener that is to blame
    return out;
  }

  std::vector<std::string> listeners() const { return http_->addresses(); }
  std::string database_id() const { return store_->database_id(); }

  /// Lets go of all actors: a handle to an own-thread actor that outlives the actor system hangs
  /// it.
  void release_handles() {
    signals_.attach({});
    backend_->use(stats_actor{});
    backend_->use(reader_actor{});
    backend_->use_inspector(reader_actor{});
    backend_->use(spool_actor{});
    backend_->use(keeper_actor{});
    store_handle_ = nullptr;
    spool_handle_ = nullptr;
    stats_handle_ = nullptr;
    watchdog_handle_ = nullptr;
    watched_.clear();
    http_->release_handles();
    admin_.release_handles();
    for (const auto& [name, seen_at] : activities_)
      seen_at->learn_waits_from({});
  }

private:
  duration query_timeout() const { return milliseconds{settings_->stats.query_timeout_ms}; }

  using starter = child_actor (house::*)(child_identity);

  /// `share`: of shutdown.timeout_secs, in percent. `users` that are not there do not count.
  void describe(const char* name, int64_t decltype(config::shutdown)::*share,
                const std::vector<std::string>& users, bool restartable, starter start) {
    auto budget = [share](const config& c) -> duration {
      return milliseconds{c.shutdown.timeout_secs * 10 * (c.shutdown.*share)};
    };
    std::vector<size_t> before;
    for (size_t i = 0; i < children_.size(); ++i)
      if (std::find(users.begin(), users.end(), children_[i].name) != users.end())
        before.push_back(i);
    auto seen_at = std::make_shared<activity>();
    activities_[name] = seen_at;
    children_.push_back({.name = name,
                         .budget = budget(*settings_),
                         .budget_of = budget,
                         .users = std::move(before),
                         .restartable = restartable,
                         .seen_at = seen_at,
                         .start = [=, this](supervisor_actor supervisor) {
                           auto actor = (this->*start)({name, std::move(supervisor), seen_at});
                           if (std::string_view{name} != "watchdog")
                             have_watched(name, actor);
                           return actor;
                         }});
  }

  void stand_on_sqlite() {
    auto with = store::sqlite_settings_of(*settings_);
    store_ = store::make_sqlite_store(with);
    reader_ = store::make_sqlite_reader(with);
    inspector_ = store::make_sqlite_reader(with);
  }

  void stand_on_postgres() {
    auto with = store::postgres_settings_of(*settings_);
    store_ = store::make_postgres_store(with);
    reader_ = store::make_postgres_reader(with);
    inspector_ = store::make_postgres_reader(with);
    cluster_ = store::make_postgres_cluster(with);
    if (settings_->spool.enabled)
      spool_ = store::make_sqlite_spool(store::spool_settings_of(*settings_));
  }

  void have_watched(const std::string& name, const pingable_actor& actor) {
    watched_[name] = actor;
    tell_from_outside(watchdog_handle_, atom::attach_v, name, actor);
  }

  // Own threads for what blocks: store, spool, keeper and reader. All others share the pool.

  child_actor start_signal(child_identity who) {
    return system_->spawn(signal_behavior, who, [this](signal_actor now) {
      signals_.attach([now](const heard_signal& signal) {
        tell_urgent_from_outside(now, atom::signaled_v, signal);
      });
    });
  }

  child_actor start_watchdog(child_identity who) {
    watchdog_handle_ = system_->spawn<caf::detached>(
      watchdog_behavior, who, watchdog_settings_of(*settings_, watch_->manager_limit()), watch_,
      activities_);
    have_watched("supervisor", who.supervisor);
    // Those who were there before it, or before it was restarted.
    for (const auto& [name, actor] : watched_)
      tell_from_outside(watchdog_handle_, atom::attach_v, name, actor);
    return watchdog_handle_;
  }

  child_actor start_admin(child_identity who) {
    return system_->spawn(admin_behavior, who, console_, [this](admin_actor now) {
      return admin_.open([now](admin_request_ptr request) {
        tell_urgent_from_outside(now, atom::command_v, std::move(request));
      });
    });
  }

  child_actor start_store(child_identity who) {
    store_handle_ = system_->spawn<caf::detached>(store_behavior, who, store_);
    tell_from_outside(stats_handle_, atom::attach_v, store_handle_);
    tell_from_outside(spool_handle_, atom::attach_v, store_handle_);
    return store_handle_;
  }

  child_actor start_spool(child_identity who) {
    spool_handle_ = system_->spawn<caf::detached>(spool_behavior, who, spool_, store_handle_);
    tell_from_outside(stats_handle_, atom::attach_v, spool_handle_);
    if (stats_handle_)
      tell_from_outside(spool_handle_, atom::attach_v, spool_listener_actor{stats_handle_});
    backend_->use(spool_handle_);
    return spool_handle_;
  }

  child_actor start_keeper(child_identity who) {
    auto now = system_->spawn<caf::detached>(keeper_behavior, who, cluster_);
    backend_->use(now);
    return now;
  }

  child_actor start_inspector(child_identity who) {
    auto now = system_->spawn<caf::detached>(reader_behavior, who, inspector_, query_timeout());
    backend_->use_inspector(now);
    return now;
  }

  child_actor start_reader(child_identity who) {
    auto now = system_->spawn<caf::detached>(reader_behavior, who, reader_, query_timeout());
    backend_->use(now);
    return now;
  }

  child_actor start_stats(child_identity who) {
    stats_handle_ = system_->spawn(stats_behavior, who, store_handle_, spool_handle_,
                                   stats_settings_of(*settings_));
    tell_from_outside(spool_handle_, atom::attach_v, spool_listener_actor{stats_handle_});
    backend_->use(stats_handle_);
    return stats_handle_;
  }

  child_actor start_http(child_identity who) { return system_->spawn(http_behavior, who, http_); }

  config_ptr settings_; ///< as they were at the start
  signal_source& signals_;
  watch_port_ptr watch_;
  console_port_ptr console_;
  caf::actor_system* system_ = nullptr;
  std::shared_ptr<backend> backend_;
  store_port_ptr store_;
  reader_port_ptr reader_;
  reader_port_ptr inspector_; ///< the same for what takes long
  spool_port_ptr spool_;      ///< null: there is none
  cluster_port_ptr cluster_;  ///< null: this instance is alone
  admin_socket admin_;
  http_port_ptr http_;
  std::map<std::string, activity_ptr> activities_;
  std::map<std::string, pingable_actor> watched_;
  std::vector<child_spec> children_; ///< until the supervisor has them
  store_actor store_handle_;
  spool_actor spool_handle_;
  stats_actor stats_handle_;
  watchdog_actor watchdog_handle_;
};

void configure(caf::actor_system_config& with) {
  // The default policy polls and costs 13 % of a core at rest.
  with.set("scheduler.policy", caf::atom("sharing"));
  with.set("scheduler.max-threads", size_t{2});
}

exit_code fail_start(state_directory& state, last_resort& resort, systemd::service_manager& manager,
                     const std::string& why) {
  log_error("supervisor", "cannot start", {{"cause", why}});
  manager.stopping("cannot start: " + why);
  exit_report report{
    .reason = stop_reason::startup_failed, .code = exit_code::startup_failed, .detail = why};
  if (state.trouble().empty())
    state.end_run_within(report, defaults::report_file_limit);
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

std::set<std::string> names_in(const char* variable) {
  std::set<std::string> out;
  const char* list = std::getenv(variable);
  std::istringstream in{list ? list : ""};
  for (std::string name; std::getline(in, name, ',');)
    if (!name.empty())
      out.insert(name);
  return out;
}

/// Where PHI_TRACE wants the trace: a file, "1" for the log, empty: nowhere. Anything else is
/// wrong.
std::optional<std::string> trace_wish(std::string wish) {
  for (std::string_view no : {"", "0", "no", "off", "false"})
    if (wish == no)
      return "";
  for (std::string_view yes : {"1", "yes", "on", "true", "log"})
    if (wish == yes)
      return "1";
  if (wish.find_first_of("./") == wish.npos)
    return std::nullopt;
  return wish;
}

/// PHI_TRACE=1 or a file; PHI_TRACE_ACTORS, PHI_TRACE_MESSAGES and PHI_TRACE_CONTENT narrow or
/// widen what it shows.
void trace_if_asked(trace_recorder& trace) {
  const char* text = std::getenv("PHI_TRACE");
  auto where = trace_wish(text ? text : "");
  if (where && where->empty())
    return;
  const char* content = std::getenv("PHI_TRACE_CONTENT");
  auto wrong = !where
                 ? "PHI_TRACE=" + std::string{text} + " is neither 1 nor a file such as trace.json"
                 : trace.on(*where, {names_in("PHI_TRACE_ACTORS"), names_in("PHI_TRACE_MESSAGES"),
                                     content && trace_wish(content) == "1"});
  if (!wrong.empty())
    log_error("trace", wrong + "; goes on without, see PHI_TRACE");
}

/// A non-owning pointer to something that outlives the actor system.
template <class Port, class Thing>
std::shared_ptr<Port> borrowed(Thing& thing) {
  return {std::shared_ptr<void>{}, &thing};
}

} // namespace

exit_code run_service(const settings_source& source, const loaded_config& loaded, process_log& log,
                      last_resort& resort) {
  const auto& settings = loaded.values;
  log_info(
    "supervisor", "starts",
    {{"version", PHI_VERSION}, {"pid", ::getpid()}, {"state_dir", settings.resolved.state_dir}});
  systemd::service_manager manager;
  auto inherited = systemd::take_inherited_sockets();
  state_directory state{settings.resolved.state_dir};
  trace_recorder trace; // outlives the actors: a stop is traced to the last of them
  last_words_scope words{resort,
                         {[&](const exit_report& report) { say_last_words(report, manager, log); },
                          [&](const exit_report& report) {
                            state.end_run(report);
                            trace.off();
                          }}};
  signal_source signals{[&] { resort.leave_now(); }};
  if (auto trouble = inherited.error.empty() ? state.trouble() : inherited.error; !trouble.empty())
    return fail_start(state, resort, manager, trouble);
  auto tokens = std::make_shared<api::token_book>(settings.resolved.state_dir + "/tokens.json");
  if (!tokens->trouble().empty())
    return fail_start(state, resort, manager, tokens->trouble());
  if (auto trouble = take_database_place(settings); !trouble.empty())
    return fail_start(state, resort, manager, trouble);
  if (!state.crash_notice().empty())
    log_warn("supervisor", "notices that " + state.crash_notice());
  auto salt = settings.stats.user_hash_salt.value;
  if (salt.empty()) {
    auto own = state.own_salt();
    if (!own.error.empty())
      return fail_start(state, resort, manager, own.error);
    salt = own.salt;
  }
  store::remove_left_copies(settings.resolved.state_dir);
  state.begin_run();

  trace_if_asked(trace);
  auto current = std::make_shared<const config>(loaded.values);
  process_watch watch{manager, settings.shutdown.watchdog.abort,
                      [&](const std::string& stuck) { state.note_stuck(stuck); }};
  service process{{state, resort, log, source, manager, watch}, current, loaded.origins};
  house* built = nullptr; // before anybody can ask
  auto to_actors = std::make_shared<backend>();
  console desk{
    process, log,   source,
    trace,   watch, to_actors,
    tokens,  salt,  {[&] { return built->listeners(); }, [&] { return built->database_id(); }}};
  house rooms{
    current, signals, borrowed<watch_port>(watch),   borrowed<console_port>(desk), to_actors,
    tokens,  salt,    std::move(inherited.listeners)};
  built = &rooms;
  to_actors->read_health_from(watch.board());
  listener_probe probe{[&] { return rooms.listeners(); }};
  watch.on_look_around = [&] { return rooms.look_around(probe.last()); };
  watch.on_rest = [&] { probe.rest(); };
  process.on_ready_changed = [&](bool ready) { rooms.set_ready(ready); };
  caf::actor_system_config with;
  configure(with);
  caf::actor_system system{with};
  before_hand_over();
  system.spawn<caf::detached>(supervisor_behavior, rooms.children(system),
                              supervisor_settings_of(settings, process.watchdog_silence(settings)),
                              borrowed<service_port>(process), rooms.own_activity());
  if (manager.present()) // in this thread, which has nothing else to do: no start waits for the bus
    if (auto limits = systemd::limits_of_own_unit())
      process.learn_limits(*limits);
  auto code = process.wait();
  rooms.release_handles();
  return code;
}

} // namespace phi
