#include "protocol/trace_text.hpp"

namespace phi {
namespace {

std::string count(size_t n, const char* name) {
  return std::to_string(n) + " " + name + (n == 1 ? "" : "s");
}

std::string milliseconds(std::chrono::nanoseconds took) {
  return std::to_string(took / std::chrono::microseconds{1}) + " us";
}

} // namespace

std::string trace_text(const stop_order& order) {
  return trace_text(order.mode) + ", " + trace_text(order.reason);
}

std::string trace_text(const release_order& order) {
  return trace_text(order.mode);
}

std::string trace_text(const stopped_report& report) {
  auto out = report.actor;
  for (const auto& [name, n] : report.did)
    out += ", " + name + " " + std::to_string(n);
  return report.ended ? out : out + ", " + report.ended.why();
}

std::string trace_text(const actor_status& status) {
  return status.actor + ": " + status.doing;
}

std::string trace_text(const service_status& status) {
  return std::string{to_string(status.state)};
}

std::string trace_text(const reload_report& report) {
  return report.accepted ? count(report.changed.size(), "change") : "refused";
}

std::string trace_text(const pong& answer) {
  return std::to_string(answer.progress);
}

std::string trace_text(stop_mode mode) {
  return std::string{to_string(mode)};
}

std::string trace_text(stop_reason reason) {
  return std::string{to_string(reason)};
}

std::string trace_text(const heard_signal& signal) {
  return std::string{to_string(signal.kind)};
}

std::string trace_text(const ingest_turn_ptr& turn) {
  size_t events = 0;
  for (const auto& request : turn->requests)
    events += request.events.size();
  auto out = count(turn->requests.size(), "request") + ", " + count(events, "event");
  if (trace_shows_user_data())
    for (const auto& request : turn->requests)
      for (const auto& event : request.events)
        if (out.size() < 400)
          out += "; " + event.feature + " " + event.action + " " + event.route;
  return out;
}

std::string trace_text(const commit_batch_ptr& batch) {
  return "batch " + std::to_string(batch->number) + ", " + count(batch->events, "event");
}

std::string trace_text(const commit_result& result) {
  return "batch " + std::to_string(result.number) + ", " + std::string{to_string(result.error)}
         + ", " + milliseconds(result.took);
}

std::string trace_text(const spool_result& result) {
  return "batch " + std::to_string(result.number) + ", " + std::string{to_string(result.error)};
}

std::string trace_text(const replay_result& result) {
  return std::to_string(result.stored) + " stored, " + std::to_string(result.duplicates)
         + " duplicates, " + std::to_string(result.recovered) + " recovered";
}

std::string trace_text(const asked_ptr<reader_query>& asked) {
  std::string out = "latest events";
  std::optional<std::string> feature;
  if (const auto* statistics = std::get_if<statistics_query>(&asked->question)) {
    out = statistics->path;
    feature = statistics->parameters.text("feature");
  } else if (const auto* events = std::get_if<recent_events_query>(&asked->question)) {
    feature = events->feature;
  } else {
    out = "instances";
  }
  return trace_shows_user_data() && feature ? out + " about " + *feature : out;
}

std::string trace_text(const asked_ptr<inspection_task>& asked) {
  return std::holds_alternative<verify_task>(asked->question) ? "verify" : "backup";
}

std::string trace_text(const asked_ptr<spool_task>& asked) {
  static constexpr const char* names[] = {"show", "check", "requeue"};
  return names[asked->question.index()];
}

std::string trace_text(const asked_ptr<cluster_task>& asked) {
  static constexpr const char* names[] = {"steer", "forget", "take the restart slot",
                                          "give the restart slot"};
  return names[asked->question.index()];
}

std::string trace_text(const admin_request_ptr& request) {
  return trace_shows_user_data() ? request->line.substr(0, 400)
                                 : count(request->line.size(), "byte");
}

std::string trace_text(const config_ptr&) {
  return "settings";
}

std::string trace_text(const std::string& text) {
  return text.substr(0, 80);
}

} // namespace phi
