#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/latency.hpp"
#include "server/statistics/statements.hpp"
#include "server/statistics/time_zones.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace phi::statistics {
namespace {

constexpr uint32_t default_top = 20;

json time_or_null(const row_cursor& row, int column) {
  return row.null(column) ? json{} : json(format_rfc3339(row.integer(column)));
}

json features_of(const counted_range& counted, slot_range range) {
  json rows = json::array();
  auto& row = counted.ask(sql::counts_by_feature, range);
  while (row.step())
    rows.push_back({{"feature", row.text(0)},
                    {"count", row.integer(1)},
                    {"lastAt", format_rfc3339(row.integer(2))}});
  return rows;
}

json users_of(const counted_range& counted, slot_range range, bool by_kind) {
  auto& total = counted.ask_active(sql::users_total, range);
  total.step();
  json out{{"total", total.integer(0)}};
  if (!by_kind)
    return out;
  json kinds = json::array();
  auto& row = counted.ask_active(sql::users_by_kind, range);
  while (row.step())
    kinds.push_back({text_or_null(row.text(0)), row.integer(1)});
  out["byKind"] = std::move(kinds);
  return out;
}

/// Within `relative_error`, and never above the longest.
json latency_of(const counted_range& counted, slot_range range, int64_t timed, double sum_us,
                int64_t max_us) {
  if (timed == 0)
    return {{"sampleCount", 0}, {"avgMs", nullptr}, {"p50Ms", nullptr},
            {"p95Ms", nullptr}, {"p99Ms", nullptr}, {"maxMs", nullptr}};
  std::vector<std::pair<int32_t, int64_t>> buckets;
  auto& row = counted.ask(sql::latency_buckets, range);
  while (row.step())
    buckets.emplace_back(static_cast<int32_t>(row.integer(0)), row.integer(1));
  auto to_ms = [](double us) { return std::round(us) / 1000; };
  auto percentile = [&](double share) -> json {
    auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(timed)));
    for (auto [bucket, n] : buckets)
      if ((rank -= n) <= 0)
        return to_ms(std::min(latency_of_bucket(bucket), static_cast<double>(max_us)));
    return {};
  };
  return {{"sampleCount", timed},      {"avgMs", to_ms(sum_us / static_cast<double>(timed))},
          {"p50Ms", percentile(0.50)}, {"p95Ms", percentile(0.95)},
          {"p99Ms", percentile(0.99)}, {"maxMs", to_ms(static_cast<double>(max_us))}};
}

void add_totals(json& out, const counted_range& counted, slot_range range, bool with_latency) {
  auto& row = counted.ask(sql::totals, range);
  row.step();
  out["eventsTotal"] = row.integer(0);
  out["httpTotal"] = row.integer(1);
  out["httpErrors"] = row.integer(2);
  if (with_latency)
    out["latency"] = latency_of(counted, range, row.integer(3), wide_sum(row, 4), row.integer(6));
}

json ranking(const counted_range& counted, slot_range range, std::string_view statement,
             const char* name, uint32_t top) {
  json rows = json::array();
  auto& row = counted.ask(statement, range, int64_t{top});
  while (row.step())
    rows.push_back({{name, row.text(0)}, {"count", row.integer(1)}});
  return rows;
}

void add_rankings(json& out, const counted_range& counted, slot_range range,
                  const question_parameters& parameters) {
  struct part {
    const char* word;
    const char* field;
    std::string_view statement;
    const char* name;
  };
  static constexpr std::array parts{part{"routes", "routes", sql::top_routes, "route"},
                                    part{"methods", "methods", sql::top_methods, "method"},
                                    part{"status", "statusCodes", sql::top_statuses, "status"},
                                    part{"instances", "instances", sql::top_instances, "instance"},
                                    part{"actions", "actions", sql::top_actions, "action"}};
  const auto top = parameters.number("top").value_or(default_top);
  for (const auto& part : parts)
    if (parameters.has_word("include", part.word))
      out[part.field] = ranking(counted, range, part.statement, part.name, top);
}

} // namespace

std::string summary(row_source& rows, const question_parameters& parameters,
                    std::optional<int64_t> start_at_us) {
  const counted_range counted{rows, parameters, start_at_us};
  const auto range = counted.whole();
  auto includes = [&](const char* word) { return parameters.has_word("include", word); };
  json out{{"timezone", counted.zone()}, {"configStartAt", nullptr}};
  if (start_at_us)
    out["configStartAt"] = format_rfc3339(*start_at_us);
  auto& span = counted.ask(sql::span_of_events, range);
  span.step();
  out["firstEventAt"] = time_or_null(span, 0);
  out["lastEventAt"] = time_or_null(span, 1);
  if (auto day = counted.first_day())
    out["rangeStartAt"] = format_rfc3339(day_in_zone(counted.zone(), *day).begin_us);
  if (auto day = counted.last_day())
    out["rangeEndAt"] = format_rfc3339(day_in_zone(counted.zone(), *day).end_us);
  if (counted.feature())
    out["featureFilter"] = *counted.feature();
  out["features"] = features_of(counted, range);
  out["uniqueUsers"] = users_of(counted, range, includes("user_kinds"));
  add_totals(out, counted, range, includes("latency"));
  add_rankings(out, counted, range, parameters);
  if (includes("unique_ips")) {
    auto& row = counted.ask_active(sql::addresses_total, range);
    row.step();
    out["uniqueIps"] = row.integer(0);
  }
  return out.dump();
}

} // namespace phi::statistics
