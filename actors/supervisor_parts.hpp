#pragma once
/// The parts of the supervisor, each in a file of its own: its status and that of all
/// (supervisor_status.cpp) and how it reloads (supervisor_reload.cpp). For supervisor*.cpp only.

#include "actors/supervisor.hpp"

#include <functional>
#include <string>

namespace phi::supervising {

using self_ptr = supervisor_actor::stateful_pointer<supervisor_state>;
using life = supervisor_state::life;

/// Changes the state and tells the process.
void set_state(self_ptr self, service_state state, const std::string& text);

/// Sets the timer for whatever is next.
void arm_timer(self_ptr self);

/// Asks all children for their status; `then` gets what came within the time-out.
void ask_everybody(self_ptr self, std::function<void(service_status)> then);

/// Writes the state of everything to the log.
void dump(self_ptr self);

/// Says who holds the exit, and asks the service manager for more time when there is progress.
void log_stop_progress(self_ptr self);

/// Renews the status line: state, rate, queue.
void update_status_line(self_ptr self);

/// From now on these settings hold: the plan of the stop that may come, budgets, restarts.
void apply_settings(self_ptr self, const supervisor_settings& settings);

/// Reads the settings again, now or after the reload under way.
void reload(self_ptr self, promise_of<reload_report> asked_by);

/// Carries out a reload that had to wait for the end of the start.
void reload_if_waiting(self_ptr self);

/// A stop begins: whoever waits for a reload is told that there will be none.
void refuse_reloads(self_ptr self);

} // namespace phi::supervising
