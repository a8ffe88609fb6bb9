#pragma once
/// Children that misbehave on demand, and a process that only writes down what it is told.

#include "actors/ports/service_port.hpp"
#include "actors/supervisor.hpp"

#include <map>
#include <string>
#include <vector>

namespace phi::testing {

enum class manner {
  obedient,        ///< leaves at once when released
  slow,            ///< leaves 2 s after its release
  late,            ///< leaves only when told to be fast
  deaf,            ///< never leaves by itself
  twice_acking,    ///< reports twice, then leaves
  throwing,        ///< throws when released
  dying,           ///< dies when it is told to stop
  silent,          ///< leaves without a report
  mute,            ///< does not answer `status`
  starting_late,   ///< answers its first ping after 1 s
  never_starting,  ///< does not answer its first ping
  failing_to_start ///< dies at once
};

/// What a child was told, in order: "store stop graceful", "store release fast", ...
struct told {
  std::vector<std::string> lines;
  bool has(const std::string& line) const;
  size_t index(const std::string& line) const; ///< lines.size() when it is not there
};

/// The supervisor's view of the process, written down.
class fake_service : public service_port {
public:
  void state_changed(service_state state, const std::string& text) override;
  void stop_begun(const exit_report& draft, std::optional<time_point> hard) override;
  void stop_moved(const exit_report& draft) override { last_draft = draft; }
  void finished(const exit_report& report) override { result = report; }
  void supervisor_died(const std::string& why, const exit_report& draft) override {
    death = why;
    last_draft = draft;
  }
  void leave_now() override { left_now = true; }
  void stop_extended(duration more, std::optional<time_point> until) override {
    extensions.push_back(more);
    hard = until;
  }
  std::optional<duration> manager_stop_limit() const override { return stop_limit; }
  bool shows_status() const override { return status_shown; }
  duration watchdog_silence(const config&) const override { return silence; }
  prepared_reload prepare_reload() override;
  void apply_settings(const config_ptr& settings) override { applied.push_back(settings); }
  void stuck(const std::string& actor) override { stuck_actors.push_back(actor); }

  service_state state = service_state::starting;
  std::vector<std::string> texts;
  std::optional<time_point> hard;
  std::optional<exit_report> result;
  exit_report last_draft;
  bool left_now = false;
  std::string death; ///< of the supervisor
  std::vector<std::string> stuck_actors;
  std::vector<duration> extensions;
  std::optional<duration> stop_limit;
  bool status_shown = false;
  duration silence{};
  outcome reload_accepted; ///< what the next reloads find wrong
  size_t reloads = 0;
  std::vector<config_ptr> applied;
};

struct fake_child_plan {
  std::string name;
  manner acts = manner::obedient;
  bool restartable = false;
  std::vector<size_t> users;
  bool needed_in_stop = false;
  bool spared = false;
};

class virtual_system;

/// A supervisor over fake children in stop order, budgets of 9.5 s each within 30 s.
class fake_graph {
public:
  fake_graph(virtual_system& on, std::vector<fake_child_plan> plans, bool force = true,
             duration drain_delay = {}, duration timeout = std::chrono::seconds{30},
             duration watchdog_silence = {});

  void terminate(stop_mode mode = stop_mode::graceful, stop_reason reason = stop_reason::terminate);
  void kill_child(const std::string& name);
  bool finished() const { return service->result.has_value(); }

  std::shared_ptr<fake_service> service = std::make_shared<fake_service>();
  std::shared_ptr<told> orders = std::make_shared<told>();
  std::shared_ptr<std::map<std::string, manner>> manners =
    std::make_shared<std::map<std::string, manner>>();
  std::map<std::string, int> starts;
  std::vector<std::string> given_up; ///< whoever uses it was told so
  std::map<std::string, activity_ptr> activities;
  supervisor_actor supervisor;

private:
  virtual_system& on_;
  std::map<std::string, child_actor> actors_;
};

/// http, stats, store, in stop order, each served by the next.
std::vector<fake_child_plan> three_children(manner http = manner::obedient,
                                            manner stats = manner::obedient,
                                            manner store = manner::obedient);

} // namespace phi::testing
