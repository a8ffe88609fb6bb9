#pragma once
/// The wire format of the admin socket: JSON-RPC 2.0, one object a line. Described in README.md.

#include "protocol/questions.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace phi {

namespace admin_wire {

/// Longest request or answer line, in bytes, with its newline.
inline constexpr size_t max_line_bytes = 1 << 20;

/// How long a token may be good for: 100 years.
inline constexpr int64_t longest_token_life_s = 100 * 365 * 86'400LL;

inline constexpr std::string_view method_status = "status";
inline constexpr std::string_view method_stop = "stop";
inline constexpr std::string_view method_drain = "drain";
inline constexpr std::string_view method_undrain = "undrain";
inline constexpr std::string_view method_reload = "reload";
inline constexpr std::string_view method_health = "health";
inline constexpr std::string_view method_plan = "plan";
inline constexpr std::string_view method_dump = "dump";
inline constexpr std::string_view method_log_level = "log-level";
inline constexpr std::string_view method_trace_on = "trace-on";
inline constexpr std::string_view method_trace_off = "trace-off";
inline constexpr std::string_view method_trace_read = "trace-read";
inline constexpr std::string_view method_config = "config";
inline constexpr std::string_view method_config_diff = "config-diff";
inline constexpr std::string_view method_doctor = "doctor";
inline constexpr std::string_view method_ask = "ask";
inline constexpr std::string_view method_lifecycle = "lifecycle";
inline constexpr std::string_view method_events = "events";
inline constexpr std::string_view method_verify = "verify";
inline constexpr std::string_view method_backup = "backup";
inline constexpr std::string_view method_ingest = "ingest";
inline constexpr std::string_view method_token_create = "token-create";
inline constexpr std::string_view method_token_list = "token-list";
inline constexpr std::string_view method_token_revoke = "token-revoke";

inline constexpr std::string_view method_spool = "spool";
inline constexpr std::string_view method_spool_fsck = "spool-fsck";
inline constexpr std::string_view method_spool_replay = "spool-replay";
inline constexpr std::string_view method_cluster = "cluster";
inline constexpr std::string_view method_cluster_want = "cluster-want";
inline constexpr std::string_view method_cluster_forget = "cluster-forget";
inline constexpr std::string_view method_take_restart_slot = "cluster-take-restart-slot";
inline constexpr std::string_view method_give_restart_slot = "cluster-give-restart-slot";
// The same, for a phictl and a service of which one is older, as in the middle of an upgrade.
inline constexpr std::string_view method_take_turn = "cluster-take-turn";
inline constexpr std::string_view method_give_turn = "cluster-give-turn";

// Error codes of JSON-RPC 2.0.
inline constexpr int parse_error = -32700;
inline constexpr int invalid_request = -32600;
inline constexpr int method_not_found = -32601;
inline constexpr int invalid_params = -32602;
inline constexpr int internal_error = -32603;
/// Our own: understood, and not done; the message says why.
inline constexpr int refused = -32000;
/// Our own: it cannot be done now; the same request may work later.
inline constexpr int try_again = -32001;
/// Our own: nothing of it was done; less of it at a time may work.
inline constexpr int too_much = -32002;

} // namespace admin_wire

/// One line that came in, and where its answer goes. `answer` is thread-safe, is called once, and
/// takes a line without its newline.
struct admin_request {
  std::string line;
  std::function<void(std::string)> answer; ///< taken by whoever answers; else its end does
  gone_flag asker_gone{};                  ///< set when the connection has ended
  shared_file file{}; ///< set before `answer` is called: goes along with it (SCM_RIGHTS)
};

using admin_request_ptr = std::shared_ptr<admin_request>;

} // namespace phi
