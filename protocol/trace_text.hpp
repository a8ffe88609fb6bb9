#pragma once
/// What a message carries, in a few words for a trace. Data of users are left out unless asked for.

#include "protocol/admin.hpp"
#include "protocol/config_ptr.hpp"
#include "protocol/ingest.hpp"
#include "protocol/questions.hpp"
#include "protocol/status.hpp"
#include "protocol/trace.hpp"

#include <string>
#include <type_traits>

namespace phi {

std::string trace_text(const stop_order& order);
std::string trace_text(const release_order& order);
std::string trace_text(const stopped_report& report);
std::string trace_text(const actor_status& status);
std::string trace_text(const service_status& status);
std::string trace_text(const reload_report& report);
std::string trace_text(const pong& answer);
std::string trace_text(stop_mode mode);
std::string trace_text(stop_reason reason);
std::string trace_text(const heard_signal& signal);
std::string trace_text(const ingest_turn_ptr& turn);
std::string trace_text(const commit_batch_ptr& batch);
std::string trace_text(const commit_result& result);
std::string trace_text(const spool_result& result);
std::string trace_text(const replay_result& result);
std::string trace_text(const asked_ptr<reader_query>& asked);
std::string trace_text(const asked_ptr<inspection_task>& asked);
std::string trace_text(const asked_ptr<spool_task>& asked);
std::string trace_text(const asked_ptr<cluster_task>& asked);
std::string trace_text(const admin_request_ptr& request);
std::string trace_text(const config_ptr& settings);
std::string trace_text(const std::string& text);

/// Anything else that a message may hold: a number as it is, a handle or an error as nothing.
template <class T>
std::string trace_text_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_arithmetic_v<T>)
    return std::to_string(value);
  else if constexpr (requires { trace_text(value); })
    return trace_text(value);
  else
    return {};
}

} // namespace phi
