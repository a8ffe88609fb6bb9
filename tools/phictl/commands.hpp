#pragma once
/// The commands of phictl, in groups. Each function adds its commands to the command line; what
/// they do happens when the command line has been read.

#include "tools/phictl/context.hpp"

namespace CLI {
class App;
}

namespace phi::ctl {

/// start, stop, restart, enable, disable, logs: what systemd does for the service.
void add_service_commands(CLI::App& app, command_context& context);

/// status, health, reload, drain, undrain: what the service does itself.
void add_state_commands(CLI::App& app, command_context& context);

/// actors, dump, log-level, last-exit, config, doctor, trace: to see inside.
void add_inspect_commands(CLI::App& app, command_context& context);

/// stats: what was counted, as tables with bars.
void add_stats_commands(CLI::App& app, command_context& context);

/// send, import: events on their way in.
void add_ingest_commands(CLI::App& app, command_context& context);

/// tail, backup, restore, verify: what is in the database.
void add_data_commands(CLI::App& app, command_context& context);

/// token: who may use the HTTP interface.
void add_token_commands(CLI::App& app, command_context& context);

/// spool, cluster: what there is with PostgreSQL.
void add_cluster_commands(CLI::App& app, command_context& context);

} // namespace phi::ctl
