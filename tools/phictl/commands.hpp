#pragma once
/// The commands of phictl: a file each in commands/, which has the command's name, its options in a
/// struct and its help. What two commands share lies beside this header. Each function adds its
/// command to the command line; what it does happens when that has been read. `context` must
/// outlive the command line.

#include "tools/phictl/context.hpp"

namespace CLI {
class App;
}

namespace phi::ctl {

// What systemd does for the service.
void add_start(CLI::App& app, command_context& context);
void add_stop(CLI::App& app, command_context& context);
void add_restart(CLI::App& app, command_context& context);
void add_enable(CLI::App& app, command_context& context);
void add_disable(CLI::App& app, command_context& context); ///< in commands/enable.cpp
void add_logs(CLI::App& app, command_context& context);

// What the service does itself.
void add_status(CLI::App& app, command_context& context);
void add_health(CLI::App& app, command_context& context);
void add_reload(CLI::App& app, command_context& context);
void add_drain(CLI::App& app, command_context& context);
void add_undrain(CLI::App& app, command_context& context); ///< in commands/drain.cpp

// To see inside.
void add_actors(CLI::App& app, command_context& context);
void add_dump(CLI::App& app, command_context& context);
void add_log_level(CLI::App& app, command_context& context);
void add_last_exit(CLI::App& app, command_context& context);
void add_lifecycle(CLI::App& app, command_context& context);
void add_config(CLI::App& app, command_context& context);
void add_doctor(CLI::App& app, command_context& context);
void add_trace(CLI::App& app, command_context& context);

// Events on their way in, what is in the database, what was counted.
void add_send(CLI::App& app, command_context& context);
void add_import(CLI::App& app, command_context& context);
void add_tail(CLI::App& app, command_context& context);
void add_backup(CLI::App& app, command_context& context);
void add_restore(CLI::App& app, command_context& context);
void add_verify(CLI::App& app, command_context& context);
void add_stats(CLI::App& app, command_context& context);

// Who may use the HTTP interface; what there is with PostgreSQL.
void add_token(CLI::App& app, command_context& context);
void add_spool(CLI::App& app, command_context& context);
void add_cluster(CLI::App& app, command_context& context);

} // namespace phi::ctl
