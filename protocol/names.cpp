#include "protocol/names.hpp"

namespace phi {

std::string_view to_string(wait_kind kind) {
  switch (kind) {
    case wait_kind::actor: return "actor";
    case wait_kind::client: return "client";
    case wait_kind::work: return "work";
  }
  return "unknown";
}

std::string_view to_string(actor_state state) {
  switch (state) {
    case actor_state::absent: return "absent";
    case actor_state::starting: return "starting";
    case actor_state::running: return "running";
    case actor_state::stopping: return "stopping";
    case actor_state::restarting: return "restarting";
    case actor_state::gone: return "gone";
  }
  return "unknown";
}

std::string_view to_string(exit_state state) {
  switch (state) {
    case exit_state::waiting: return "waiting";
    case exit_state::released: return "released";
    case exit_state::late: return "late";
    case exit_state::killed: return "killed";
    case exit_state::gone: return "gone";
  }
  return "unknown";
}

std::string_view to_string(cause_kind kind) {
  switch (kind) {
    case cause_kind::silent: return "silent";
    case cause_kind::not_running: return "not_running";
    case cause_kind::degraded: return "degraded";
  }
  return "unknown";
}

std::string_view to_string(ailment code) {
  switch (code) {
    case ailment::none: return "none";
    case ailment::database_away: return "database_away";
    case ailment::database_silent: return "database_silent";
    case ailment::database_refuses: return "database_refuses";
    case ailment::database_degraded: return "database_degraded";
    case ailment::questions_fail: return "questions_fail";
    case ailment::spool_degraded: return "spool_degraded";
    case ailment::no_connections: return "no_connections";
  }
  return "unknown";
}

} // namespace phi
