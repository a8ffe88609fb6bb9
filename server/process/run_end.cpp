#include "server/process/run_end.hpp"

#include "protocol/names.hpp"
#include "protocol/text/rfc3339.hpp"

#include <nlohmann/json.hpp>

namespace phi {
namespace {

using json = nlohmann::ordered_json;

std::string text_in(const json& from, const char* name) {
  auto found = from.find(name);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

double number_in(const json& from, const char* name) {
  auto found = from.find(name);
  return found != from.end() && found->is_number() ? found->get<double>() : 0;
}

} // namespace

std::optional<run_end> read_run_end(const json& report) {
  if (!report.is_object())
    return std::nullopt;
  run_end out{.run_id = text_in(report, "runId"), .version = text_in(report, "version")};
  out.started_us = parse_rfc3339(text_in(report, "startedAt"));
  auto code = report.find("exitCode");
  out.crashed = code == report.end() || !code->is_number_integer();
  out.ended_us = parse_rfc3339(text_in(report, out.crashed ? "noticedAt" : "endedAt"));
  out.stuck_in = text_in(report, "stuck");
  if (out.crashed)
    return out;
  out.exit_code = code->get<int>();
  out.took_ms = number_in(report, "tookMs");
  out.verdict = text_in(report, "verdict");
  out.exit_text = text_in(report, "exitText");
  out.mode = text_in(report, "mode");
  out.reason = text_in(report, "reason");
  out.detail = text_in(report, "detail");
  if (auto held = report.find("heldBy"); held != report.end() && held->is_object()) {
    bool client = text_in(*held, "kind") == to_string(wait_kind::client);
    out.held_by = client ? "a client" : text_in(*held, "who");
    if (auto deed = text_in(*held, "what"); !deed.empty())
      out.held_by += ": " + deed;
    out.held_ms = number_in(*held, "ms");
  }
  return out;
}

} // namespace phi
