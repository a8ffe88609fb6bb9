#include "server/wiring.hpp"

#include "actors/admin.hpp"
#include "actors/http.hpp"
#include "actors/reader.hpp"
#include "actors/signal.hpp"
#include "actors/stats.hpp"
#include "actors/store.hpp"
#include "actors/supervisor.hpp"
#include "actors/watchdog.hpp"
#include "config/defaults.hpp"
#include "server/http/client_address.hpp"
#include "server/http/http_server.hpp"
#include "server/platform/admin_socket.hpp"
#include "server/platform/signals.hpp"
#include "server/platform/time_zones.hpp"
#include "server/service.hpp"
#include "server/store/sqlite_store.hpp"

#include <mutex>
#include <unistd.h>

namespace phi {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How the event loops reach the actors. The handles change when an actor is restarted.
class backend : public backend_port {
public:
  void submit(ingest_turn_ptr turn) override {
    tell_from_outside(stats(), atom::ingest_v, std::move(turn));
  }
  void ask(asked_query_ptr question) override {
    tell_from_outside(reader(), atom::ask_v, std::move(question));
  }
  void ask_health(asked_query_ptr question) override {
    tell_urgent_from_outside(stats(), atom::ask_v, std::move(question));
  }

  void use(stats_actor now) {
    std::lock_guard lock{guard_};
    stats_ = std::move(now);
  }
  void use(reader_actor now) {
    std::lock_guard lock{guard_};
    reader_ = std::move(now);
  }

private:
  stats_actor stats() {
    std::lock_guard lock{guard_};
    return stats_;
  }
  reader_actor reader() {
    std::lock_guard lock{guard_};
    return reader_;
  }

  std::mutex guard_;
  stats_actor stats_;
  reader_actor reader_;
};

/// The children in stop order: whoever serves comes after those whom it serves.
enum child : size_t {
  http_child,
  stats_child,
  reader_child,
  store_child,
  admin_child,
  watchdog_child,
  signal_child
};

store::sqlite_settings sqlite_of(const config& c) {
  auto how = c.stats.durability == "queued"   ? durability::queued
             : c.stats.durability == "normal" ? durability::normal
                                              : durability::full;
  return {.file = c.resolved.sqlite_path,
          .wal = c.stats.sqlite_wal,
          .how = how,
          .busy_timeout = milliseconds{c.stats.busy_timeout_ms},
          .query_timeout = milliseconds{c.stats.query_timeout_ms},
          .start_at_us = c.resolved.start_at_us};
}

stats_settings stats_of(const config& c) {
  return {.queue = {.max_events = static_cast<size_t>(c.stats.queue_max_events),
                    .max_bytes = static_cast<size_t>(c.stats.queue_max_bytes),
                    .batch_events = static_cast<size_t>(c.stats.batch_size)},
          .flush_interval = milliseconds{c.stats.flush_interval_ms},
          .commit_overdue = milliseconds{c.stats.busy_timeout_ms} + defaults::commit_overdue_margin,
          .commit_retry = defaults::commit_retry_interval,
          .answer_after = sqlite_of(c).how};
}

supervisor_settings supervisor_of(const config& c) {
  const auto& s = c.shutdown;
  return {.stop = {.timeout = seconds{s.timeout_secs},
                   .force = s.force_quit,
                   .force_delay = seconds{s.force_delay_secs},
                   .drain_delay = milliseconds{c.server.drain_delay_ms}},
          .start_timeout = seconds{s.start_timeout_secs},
          .restarts = {.limit = static_cast<size_t>(s.restart_limit),
                       .window = seconds{s.restart_window_secs},
                       .first_wait = defaults::restart_backoff,
                       .longest_wait = defaults::restart_backoff_max}};
}

/// Everything that the actors stand on, and the handles by which they find each other. Outlives the
/// actor system but for the handles, which are let go first.
class house {
public:
  house(const config& settings, signal_source& signals)
    : settings_(settings),
      signals_(signals),
      backend_(std::make_shared<backend>()),
      store_(store::make_sqlite_store(sqlite_of(settings))),
      reader_(store::make_sqlite_reader(sqlite_of(settings))),
      admin_(settings.resolved.admin_socket),
      http_(http::make_http_server(settings, backend_)) {}

  std::vector<child_spec> children(caf::actor_system& system) {
    system_ = &system;
    const auto& s = settings_.shutdown;
    std::vector<child_spec> out(7);
    describe(out, http_child, "http", s.http_budget_percent, {}, true, &house::start_http);
    describe(out, stats_child, "stats", s.stats_budget_percent, {http_child}, false,
             &house::start_stats);
    describe(out, reader_child, "reader", s.reader_budget_percent, {http_child}, true,
             &house::start_reader);
    describe(out, store_child, "store", s.store_budget_percent, {stats_child, reader_child}, true,
             &house::start_store);
    describe(out, admin_child, "admin", s.admin_budget_percent, {store_child}, true,
             &house::start_admin);
    describe(out, watchdog_child, "watchdog", s.watchdog_budget_percent, {admin_child}, true,
             &house::start_watchdog);
    out[store_child].given_up = [this] {
      tell_from_outside(stats_handle_, atom::use_v, store_actor{});
    };
    describe(out, signal_child, "signal", s.signal_budget_percent, {watchdog_child}, false,
             &house::start_signal);
    return out;
  }

  void set_ready(bool ready) { http_->set_ready(ready); }

  /// Lets go of all actors: a handle to an own-thread actor that outlives the actor system hangs
  /// it.
  void let_go() {
    signals_.attach({});
    backend_->use(stats_actor{});
    backend_->use(reader_actor{});
    store_handle_ = nullptr;
    stats_handle_ = nullptr;
    watchdog_handle_ = nullptr;
    http_->open({});
    admin_.open({});
  }

private:
  using starter = child_actor (house::*)(child_identity);

  void describe(std::vector<child_spec>& out, child which, const char* name, int64_t percent,
                std::vector<size_t> users, bool restartable, starter start) {
    auto seen_at = std::make_shared<activity>();
    activities_[name] = seen_at;
    out[which] = {.name = name,
                  .budget = milliseconds{settings_.shutdown.timeout_secs * 10 * percent},
                  .users = std::move(users),
                  .restartable = restartable,
                  .seen_at = seen_at,
                  .start = [=, this](supervisor_actor boss) {
                    auto actor = (this->*start)({name, std::move(boss), seen_at});
                    if (which != watchdog_child)
                      tell_from_outside(watchdog_handle_, atom::use_v, std::string{name}, actor);
                    return actor;
                  }};
  }

  // Own threads for what blocks: store and reader. All others share the pool.

  child_actor start_signal(child_identity who) {
    return system_->spawn(signal_behavior, who, [this](signal_actor now) {
      signals_.attach(
        [now](int number) { tell_urgent_from_outside(now, atom::signaled_v, number); });
    });
  }

  child_actor start_watchdog(child_identity who) {
    const auto& w = settings_.shutdown.watchdog;
    watchdog_handle_ = system_->spawn<caf::detached>(
      watchdog_behavior, who,
      watchdog_settings{w.enabled, seconds{w.interval_secs}, seconds{w.timeout_secs}}, activities_);
    return watchdog_handle_;
  }

  child_actor start_admin(child_identity who) {
    return system_->spawn(admin_behavior, who, [this](admin_actor now) {
      return admin_.open([now](admin_request_ptr request) {
        tell_urgent_from_outside(now, atom::command_v, std::move(request));
      });
    });
  }

  child_actor start_store(child_identity who) {
    store_handle_ = system_->spawn<caf::detached>(store_behavior, who, store_);
    tell_from_outside(stats_handle_, atom::use_v, store_handle_);
    return store_handle_;
  }

  child_actor start_reader(child_identity who) {
    auto now = system_->spawn<caf::detached>(reader_behavior, who, reader_);
    backend_->use(now);
    return now;
  }

  child_actor start_stats(child_identity who) {
    stats_handle_ = system_->spawn(stats_behavior, who, store_handle_, stats_of(settings_));
    backend_->use(stats_handle_);
    return stats_handle_;
  }

  child_actor start_http(child_identity who) { return system_->spawn(http_behavior, who, http_); }

  const config& settings_;
  signal_source& signals_;
  caf::actor_system* system_ = nullptr;
  std::shared_ptr<backend> backend_;
  store_port_ptr store_;
  reader_port_ptr reader_;
  admin_socket admin_;
  http_port_ptr http_;
  std::map<std::string, activity_ptr> activities_;
  store_actor store_handle_;
  stats_actor stats_handle_;
  watchdog_actor watchdog_handle_;
};

void configure(caf::actor_system_config& with) {
  // The default policy polls and costs 13 % of a core at rest.
  with.set("scheduler.policy", caf::atom("sharing"));
  with.set("scheduler.max-threads", size_t{2});
}

exit_code fail_start(state_directory& state, last_resort& resort, const std::string& why) {
  log_error("supervisor", "cannot start", {{"cause", why}});
  exit_report report{
    .reason = stop_reason::startup_failed, .code = exit_code::startup_failed, .detail = why};
  if (state.trouble().empty())
    state.end_run(report);
  resort.leave_quietly(clock::now() + defaults::teardown_limit, report.code);
  return report.code;
}

} // namespace

std::vector<std::string> check_environment(const config& settings) {
  std::vector<std::string> problems;
  const auto& zone = settings.stats.timezone;
  if (!is_time_zone(zone)) {
    auto best = closest_time_zone(zone);
    problems.push_back(
      "stats.timezone = \"" + zone + "\" is no IANA time zone"
      + (best.empty() ? "; Europe/Berlin is one" : "; did you mean " + best + "?"));
  }
  try {
    http::trusted_proxies{settings.server.trusted_proxies};
  } catch (const std::invalid_argument& e) {
    problems.emplace_back(e.what());
  }
  return problems;
}

exit_code run_service(const config& settings, process_log& log, last_resort& resort) {
  log_info(
    "supervisor", "starts",
    {{"version", PHI_VERSION}, {"pid", ::getpid()}, {"state_dir", settings.resolved.state_dir}});
  state_directory state{settings.resolved.state_dir};
  last_words_scope words{
    resort, [&](const exit_report& report) {
      state.end_run(report);
      log_error("supervisor", "is forced to leave", {{"survivors", survivors(report)}});
      log_report(report);
      log.flush(defaults::forced_report_limit);
    }};
  signal_source signals{[&] { resort.leave_now(); }};
  if (!state.trouble().empty())
    return fail_start(state, resort, state.trouble());
  if (!state.crash_notice().empty())
    log_warn("supervisor", "notices that " + state.crash_notice());
  state.begin_run();

  service process{state, resort, settings.shutdown.watchdog.abort};
  house rooms{settings, signals};
  process.on_ready_changed = [&](bool ready) { rooms.set_ready(ready); };
  caf::actor_system_config with;
  configure(with);
  caf::actor_system system{with};
  before_hand_over();
  system.spawn<caf::detached>(supervisor_behavior, rooms.children(system), supervisor_of(settings),
                              service_port_ptr{std::shared_ptr<void>{}, &process});
  auto code = process.wait();
  rooms.let_go();
  return code;
}

} // namespace phi
