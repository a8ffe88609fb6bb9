#include "protocol/lifecycle.hpp"

namespace phi {

std::string_view to_string(service_state state) {
  switch (state) {
    case service_state::starting: return "starting";
    case service_state::ready: return "ready";
    case service_state::reloading: return "reloading";
    case service_state::lame_duck: return "lame_duck";
    case service_state::stopping: return "stopping";
    case service_state::stopped: return "stopped";
  }
  return "unknown";
}

std::string_view to_string(stop_mode mode) {
  switch (mode) {
    case stop_mode::lame_duck: return "lame_duck";
    case stop_mode::graceful: return "graceful";
    case stop_mode::fast: return "fast";
    case stop_mode::immediate: return "immediate";
  }
  return "unknown";
}

std::string_view to_string(stop_reason reason) {
  switch (reason) {
    case stop_reason::none: return "none";
    case stop_reason::interrupt: return "interrupt";
    case stop_reason::terminate: return "terminate";
    case stop_reason::quit: return "quit";
    case stop_reason::admin: return "admin";
    case stop_reason::child_died: return "child_died";
    case stop_reason::startup_failed: return "startup_failed";
    case stop_reason::user_forced: return "user_forced";
  }
  return "unknown";
}

std::string_view to_string(life_kind kind) {
  switch (kind) {
    case life_kind::start: return "start";
    case life_kind::stop: return "stop";
    case life_kind::crash: return "crash";
    case life_kind::forced: return "forced";
    case life_kind::reload: return "reload";
    case life_kind::degraded: return "degraded";
    case life_kind::spooling: return "spooling";
    case life_kind::lame_duck: return "lame_duck";
    case life_kind::upgrade: return "upgrade";
  }
  return "unknown";
}

std::optional<life_kind> parse_life_kind(std::string_view text) {
  for (auto kind : life_kinds)
    if (text == to_string(kind))
      return kind;
  return std::nullopt;
}

std::string_view to_string(exit_code code) {
  switch (code) {
    case exit_code::clean: return "clean";
    case exit_code::startup_failed: return "startup_failed";
    case exit_code::usage: return "usage";
    case exit_code::child_died: return "child_died";
    case exit_code::forced_by_deadline: return "forced_by_deadline";
    case exit_code::forced_by_user: return "forced_by_user";
    case exit_code::unaccounted: return "unaccounted";
  }
  return "unknown";
}

std::string_view to_string(signal_kind kind) {
  switch (kind) {
    case signal_kind::terminate: return "SIGTERM";
    case signal_kind::interrupt: return "SIGINT";
    case signal_kind::quit: return "SIGQUIT";
    case signal_kind::reload: return "SIGHUP";
    case signal_kind::dump: return "SIGUSR1";
    case signal_kind::lame_duck: return "SIGUSR2";
  }
  return "unknown";
}

std::string_view describe(exit_code code) {
  switch (code) {
    case exit_code::clean: return "clean stop, ledger balanced";
    case exit_code::startup_failed: return "start-up failed";
    case exit_code::usage: return "usage or configuration error";
    case exit_code::child_died: return "an actor died and could not be restarted";
    case exit_code::forced_by_deadline: return "forced by the deadline";
    case exit_code::forced_by_user: return "forced by the user";
    case exit_code::unaccounted: return "stopped, but events are unaccounted for";
  }
  return "unknown";
}

std::optional<stop_mode> parse_stop_mode(std::string_view text) {
  if (text == "lame-duck" || text == "lame_duck")
    return stop_mode::lame_duck;
  if (text == "graceful")
    return stop_mode::graceful;
  if (text == "fast")
    return stop_mode::fast;
  if (text == "immediate")
    return stop_mode::immediate;
  return std::nullopt;
}

} // namespace phi
