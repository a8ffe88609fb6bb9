#include "protocol/names.hpp"

namespace phi {

std::string_view to_string(work_code code) {
  switch (code) {
    case work_code::none: return "none";
    case work_code::commit: return "commit";
    case work_code::close_database: return "close_database";
  }
  return "unknown";
}

const char* describe(work_code code) {
  switch (code) {
    case work_code::none: return "";
    case work_code::commit: return "COMMIT";
    case work_code::close_database: return "the database to close";
  }
  return "unknown";
}

std::string_view to_string(exit_trouble trouble) {
  switch (trouble) {
    case exit_trouble::none: return "none";
    case exit_trouble::failed: return "failed";
    case exit_trouble::died: return "died";
    case exit_trouble::killed: return "killed";
  }
  return "unknown";
}

std::string_view to_string(instance_wish wish) {
  switch (wish) {
    case instance_wish::drain: return "drain";
    case instance_wish::ready: return "ready";
  }
  return "unknown";
}

std::optional<instance_wish> parse_instance_wish(std::string_view text) {
  for (auto wish : {instance_wish::drain, instance_wish::ready})
    if (text == to_string(wish))
      return wish;
  return std::nullopt;
}

std::string_view to_string(rejection why) {
  switch (why) {
    case rejection::invalid: return "invalid";
    case rejection::overloaded: return "overloaded";
    case rejection::stopping: return "stopping";
    case rejection::store_unavailable: return "store_unavailable";
    case rejection::spool_unavailable: return "spool_unavailable";
    case rejection::outcome_unknown: return "outcome_unknown";
    case rejection::refused_by_store: return "refused_by_store";
    case rejection::own: return "own";
  }
  return "unknown";
}

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

std::string_view to_string(finding_verdict verdict) {
  switch (verdict) {
    case finding_verdict::ok: return "ok";
    case finding_verdict::warning: return "warning";
    case finding_verdict::bad: return "bad";
  }
  return "unknown";
}

std::string_view to_string(finding_code code) {
  switch (code) {
    case finding_code::none: return "none";
    case finding_code::state_directory_unwritable: return "state_directory_unwritable";
    case finding_code::state_directory_public: return "state_directory_public";
    case finding_code::disk_unreadable: return "disk_unreadable";
    case finding_code::disk_low: return "disk_low";
    case finding_code::database_unreadable: return "database_unreadable";
    case finding_code::database_log_large: return "database_log_large";
    case finding_code::database_bloated: return "database_bloated";
    case finding_code::database_away: return "database_away";
    case finding_code::clock_wrong: return "clock_wrong";
    case finding_code::open_files_few: return "open_files_few";
    case finding_code::salt_not_shared: return "salt_not_shared";
    case finding_code::degraded: return "degraded";
    case finding_code::settings_invalid: return "settings_invalid";
    case finding_code::start_would_fail: return "start_would_fail";
    case finding_code::address_overruled: return "address_overruled";
    case finding_code::budgets_unfit: return "budgets_unfit";
    case finding_code::events_spooled: return "events_spooled";
    case finding_code::values_beyond_cap: return "values_beyond_cap";
    case finding_code::identities_lost: return "identities_lost";
    case finding_code::batches_set_aside: return "batches_set_aside";
    case finding_code::actors_silent: return "actors_silent";
    case finding_code::not_running: return "not_running";
    case finding_code::last_exit_failed: return "last_exit_failed";
  }
  return "unknown";
}

} // namespace phi
