#pragma once
/// Decides everything about a stop: who is told what and when, who is late, when it is forced.
/// Knows no actors and no clock: it is told what happened and when, and answers what to do next.

#include "actors/exit_report.hpp"
#include "actors/log.hpp"

#include <optional>
#include <string>
#include <vector>

namespace phi {

/// One thing the supervisor is to do.
struct plan_action {
  enum class kind : uint8_t {
    stop,    ///< send `stop` to the child
    release, ///< send `release` to the child
    kill,    ///< kill the child
    say,     ///< write `text` to the log
    finish,  ///< everybody is gone
  };

  kind type;
  size_t child = 0;
  stop_mode mode = stop_mode::graceful;
  log_level level = log_level::info;
  std::string text;
};

using plan_actions = std::vector<plan_action>;

class shutdown_plan {
public:
  /// One child. Children are given in stop order: a child comes after all that it serves.
  struct child {
    std::string name;
    duration budget{};         ///< its share of the time-out
    std::vector<size_t> users; ///< children that must be gone before it is released
    /// What it holds is lost with it: past the deadline it is not killed while it only waits for
    /// another.
    bool spared = false;
  };

  struct settings {
    duration timeout{};
    bool force = true;      ///< false: wait without limit after the deadline
    duration force_delay{}; ///< from the deadline to the forced exit
    duration drain_delay{}; ///< between the signal and the broadcast
  };

  shutdown_plan(std::vector<child> children, settings chosen);

  /// The first stop order, at T0. Children in `not_started` never lived.
  plan_actions begin(stop_mode mode, stop_reason reason, std::string detail, time_point now,
                     const std::vector<size_t>& not_started = {});

  /// A further order. A mode that is not above the current one changes nothing.
  plan_actions escalate(stop_mode mode, time_point now);

  /// A child's last words. A second time is noted and changes nothing.
  plan_actions on_stopped(size_t child, stopped_report report, time_point now);

  /// A child is gone. `ended`: whether it left as it should.
  plan_actions on_down(size_t child, const outcome& ended, time_point now);

  /// Time has passed; called at `next_wakeup()` or later. `excuses` of each child, by its place:
  /// "waits for store for 3.2 s" when it does nothing but wait; empty: it has none.
  plan_actions on_time(time_point now, const std::vector<std::string>& excuses = {});

  /// When `on_time` has something to do again; nothing: never.
  std::optional<time_point> next_wakeup() const;

  /// How a stop would go that begins now.
  stop_forecast forecast() const;

  bool begun() const { return begun_; }
  bool finished() const { return finished_; }
  stop_mode mode() const { return mode_; }
  stop_reason reason() const { return reason_; }
  time_point deadline() const { return t0_ + settings_.timeout; }

  /// The children that hold the exit now.
  std::vector<size_t> holders() const;

  /// The exit status as things stand. `ledger` as stats left it, if it did.
  exit_code verdict(const std::optional<ledger_counts>& ledger) const;

  exit_report report(const std::optional<ledger_counts>& ledger, time_point now) const;

private:
  using phase = exit_state;

  struct progress {
    phase state = phase::waiting;
    std::optional<time_point> stop_sent;
    std::optional<time_point> released;
    std::optional<time_point> escalated;
    std::optional<time_point> killed;
    std::optional<time_point> stopped;
    std::optional<time_point> gone;
    std::optional<stopped_report> report;
    std::string trouble;
    exit_trouble trouble_code = exit_trouble::none;
  };

  void broadcast(plan_actions& out, time_point now);
  void release_ready(plan_actions& out, time_point now);
  void escalate_late(plan_actions& out, time_point now, const std::vector<std::string>& excuses);
  void pass_deadline(plan_actions& out, time_point now, const std::vector<std::string>& excuses);
  void finish_if_done(plan_actions& out);
  bool out_of_the_way(size_t child) const;
  bool died_in_stop() const;
  bool out_of_reach() const;
  time_point limit(size_t child) const;
  duration budgets_up_to(size_t child) const;
  exit_row row(size_t child) const;

  std::vector<child> children_;
  settings settings_;
  std::vector<progress> states_;
  bool begun_ = false;
  bool broadcast_done_ = false;
  bool deadline_passed_ = false;
  bool finished_ = false;
  stop_mode mode_ = stop_mode::graceful;
  stop_reason reason_ = stop_reason::none;
  std::string detail_;
  time_point t0_{};
};

} // namespace phi
