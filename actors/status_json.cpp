#include "actors/status_json.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace phi {

using json = nlohmann::ordered_json;

namespace {

json to_json(const std::vector<counted>& counts) {
  json out = json::object();
  for (const auto& [name, count] : counts)
    out[name] = count;
  return out;
}

json to_json(const std::vector<timed>& times) {
  json out = json::object();
  for (const auto& [name, counts] : times)
    out[name] = {{"count", counts.count()}, {"totalMs", milliseconds(counts.total)}};
  return out;
}

json to_json(const std::vector<waited>& waits) {
  json out = json::array();
  for (const auto& wait : waits) {
    json row{{"for", wait.whom}, {"kind", to_string(wait.kind)}};
    if (wait.work != work_code::none)
      row["work"] = to_string(wait.work);
    row["ms"] = milliseconds(wait.for_how_long);
    out.push_back(std::move(row));
  }
  return out;
}

json to_json(const exit_row& row) {
  json out{{"actor", row.actor}, {"state", to_string(row.state)}};
  auto add = [&](const char* name, const std::optional<duration>& at) {
    if (at)
      out[name] = milliseconds(*at);
  };
  add("stopSentMs", row.stop_sent);
  add("releasedMs", row.released);
  add("escalatedMs", row.escalated);
  add("killedMs", row.killed);
  add("stoppedMs", row.stopped);
  add("goneMs", row.gone);
  if (row.released && row.gone)
    out["tookMs"] = milliseconds(*row.gone - *row.released);
  if (row.report) {
    out["did"] = to_json(row.report->did);
    out["waited"] = to_json(row.report->waits);
  } else if (!row.waits.empty()) {
    out["waited"] = to_json(row.waits);
  }
  if (row.trouble_code != exit_trouble::none) {
    out["trouble"] = row.trouble;
    out["troubleCode"] = to_string(row.trouble_code);
  }
  if (!row.doing.empty())
    out["doing"] = row.doing;
  if (row.work != work_code::none)
    out["work"] = to_string(row.work);
  return out;
}

} // namespace

double milliseconds(duration d) {
  return std::round(std::chrono::duration<double, std::micro>(d).count()) / 1000;
}

json to_json(const ledger_counts& c) {
  return {{"received", c.received}, {"stored", c.stored},      {"duplicates", c.duplicates},
          {"rejected", c.rejected}, {"spooled", c.spooled},    {"setAside", c.set_aside},
          {"inQueue", c.in_queue},  {"balanced", c.balanced()}};
}

json to_json(const actor_status& status) {
  json out{{"doing", status.doing},       {"idle", status.idle},
           {"progress", status.progress}, {"gauges", to_json(status.gauges)},
           {"mailbox", status.mailbox},   {"last", status.last},
           {"thread", status.thread}};
  if (status.backlog_s > 0)
    out["backlogSeconds"] = status.backlog_s;
  if (!status.rejected.empty())
    out["rejected"] = to_json(status.rejected);
  if (!status.times.empty())
    out["times"] = to_json(status.times);
  if (!status.degraded.empty()) {
    out["degraded"] = status.degraded;
    out["degradedCode"] = to_string(status.code);
  }
  return out;
}

json to_json(const service_status& status) {
  json actors = json::array();
  for (const auto& child : status.children) {
    json row{
      {"actor", child.actor}, {"state", to_string(child.state)}, {"restarts", child.restarts}};
    if (child.says)
      row["says"] = to_json(*child.says);
    actors.push_back(std::move(row));
  }
  json out{{"state", to_string(status.state)},
           {"uptimeSeconds", std::chrono::duration<double>(status.uptime).count()},
           {"actors", std::move(actors)}};
  if (status.reason != stop_reason::none)
    out["stop"] = {{"mode", to_string(status.mode)}, {"reason", to_string(status.reason)}};
  if (status.ledger)
    out["ledger"] = to_json(*status.ledger);
  return out;
}

json to_json(const exit_report& report) {
  json actors = json::array();
  for (const auto& row : report.actors)
    actors.push_back(to_json(row));
  json out{{"mode", to_string(report.mode)},
           {"reason", to_string(report.reason)},
           {"exitCode", static_cast<int>(report.code)},
           {"verdict", to_string(report.code)},
           {"exitText", describe(report.code)},
           {"tookMs", milliseconds(report.took)},
           {"blame", blame_chain(report)},
           {"actors", std::move(actors)}};
  if (auto held = held_by(report)) {
    out["heldBy"] = {{"who", held->who},
                     {"kind", to_string(held->kind)},
                     {"what", held->deed},
                     {"ms", milliseconds(held->held)}};
    if (held->work != work_code::none)
      out["heldBy"]["work"] = to_string(held->work);
  }
  if (!report.detail.empty())
    out["detail"] = report.detail;
  if (report.ledger)
    out["ledger"] = to_json(*report.ledger);
  return out;
}

json to_json(const stop_forecast& forecast) {
  json actors = json::array();
  for (const auto& planned : forecast.actors)
    actors.push_back({{"actor", planned.actor},
                      {"after", planned.after},
                      {"budgetMs", milliseconds(planned.budget)},
                      {"limitMs", milliseconds(planned.limit)}});
  json out{{"drainDelayMs", milliseconds(forecast.drain_delay)},
           {"deadlineMs", milliseconds(forecast.deadline)},
           {"actors", std::move(actors)}};
  if (forecast.hard)
    out["hardMs"] = milliseconds(*forecast.hard);
  if (forecast.manager)
    out["managerMs"] = milliseconds(*forecast.manager);
  return out;
}

std::string health_json(const actor_status& stats, const std::vector<std::string>& causes) {
  auto queue = to_json(stats);
  for (auto inside : {"idle", "degradedCode", "mailbox", "last", "thread", "rejected", "times"})
    queue.erase(inside); // for operators, not for everybody
  json out{{"status", causes.empty() ? "ok" : "degraded"},
           {"service", "phi-backend"},
           {"version", PHI_VERSION},
           {"causes", causes},
           {"queue", std::move(queue)}};
  if (stats.ledger)
    out["ledger"] = to_json(*stats.ledger);
  return out.dump();
}

} // namespace phi
