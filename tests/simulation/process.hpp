#pragma once
/// One run of the service: the real graph of actors over the simulated ports, its signals, its last
/// resort and the manager that waits for it.

#include "actors/ports/service_port.hpp"
#include "actors/service_graph.hpp"
#include "actors/signal_ladder.hpp"
#include "tests/simulation/listener.hpp"
#include "tests/simulation/observed.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace phi::simulation {

class process : public service_port, public std::enable_shared_from_this<process> {
public:
  struct setup {
    listener::seen_by seen;
    process_id id = 0;
    size_t instance = 0;
    config settings;
    std::optional<duration> manager_limit;
    std::function<void(process&)> on_end;
  };

  explicit process(setup given);
  ~process() override;

  void start();
  void signal(signal_kind kind);
  /// What the next reload finds; nothing: it is in error.
  void next_settings(std::optional<config> next) { next_ = std::move(next); }
  /// All of it is held up, as by SIGSTOP.
  void stand_still(duration time);
  /// It is no more, from now on.
  void end(ending how, exit_code code);

  bool ended() const { return seen_by_all().ended != ending::none; }
  /// Ready, or a lame duck, which serves as well.
  bool serves() const {
    return !ended() && (state_ == service_state::ready || state_ == service_state::lame_duck);
  }
  process_id id() const { return given_.id; }
  size_t instance() const { return given_.instance; }
  listener& front() { return *listener_; }
  const config_ptr& settings() const { return settings_; }
  /// Shows the checkers what can be seen of it now.
  void inspect();
  /// Events in its queue, as it shows.
  uint64_t queued() const;
  /// Nothing is wrong any more, and nobody has told it to stop: the next signal is the first.
  void will_be_last();
  void actor_gone(const std::string& actor, bool well);

  // -- for the supervisor ---------------------------------------------------------------------

  void state_changed(service_state state, const std::string& text) override;
  void stop_begun(const exit_report& draft, std::optional<time_point> hard) override;
  void stop_moved(const exit_report& draft) override;
  void finished(const exit_report& report) override;
  void supervisor_died(const std::string& why, const exit_report& draft) override;
  void leave_now() override { end(ending::by_user, exit_code::forced_by_user); }
  void stop_extended(duration more, std::optional<time_point> hard) override;
  std::optional<duration> manager_stop_limit() const override { return given_.manager_limit; }
  bool shows_status() const override { return given_.manager_limit.has_value(); }
  duration watchdog_silence(const config& settings) const override;
  prepared_reload prepare_reload() override;
  void apply_settings(const config_ptr& settings) override;
  void stuck(const std::string&) override { end(ending::by_watchdog, exit_code::child_died); }

private:
  struct watch;
  struct signals;
  struct admin;

  seen_process& seen() { return given_.seen.world.processes.at(given_.id); }
  const seen_process& seen_by_all() const { return given_.seen.world.processes.at(given_.id); }
  machine& on() { return given_.seen.world.on; }
  bool is_over() { return on().has_ended(given_.id); }
  void see_ports();
  void arm(std::optional<time_point> hard);
  void leave_at(time_point hard, uint64_t number);
  void wait_for_stop(duration limit);

  setup given_;
  config_ptr settings_;
  std::optional<config> next_;
  std::shared_ptr<current_actors> current_ = std::make_shared<current_actors>();
  std::shared_ptr<listener> listener_;
  std::shared_ptr<signals> signals_;
  storage_ports storage_;
  std::optional<service_graph> graph_;
  supervisor_actor supervisor_;
  activity_ptr stats_seen_at_;
  service_state state_ = service_state::starting;
  uint64_t armed_ = 0;   ///< number of the last resort's timer
  uint64_t waiting_ = 0; ///< number of the manager's
};

} // namespace phi::simulation
