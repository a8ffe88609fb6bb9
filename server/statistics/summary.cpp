#include "protocol/text/rfc3339.hpp"
#include "server/statistics/answers.hpp"
#include "server/statistics/counted_range.hpp"
#include "server/statistics/ranking.hpp"
#include "server/statistics/time_zones.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace phi::statistics {
namespace {

constexpr uint32_t default_top = 20;

/// What is counted, summed up by one text of its keys.
std::map<std::string, uint64_t> counts_by(const tally& all, std::string tally::key::*text) {
  std::map<std::string, uint64_t> out;
  for (const auto& [key, sums] : all.counts)
    out[key.*text] += sums.n;
  return out;
}

void add_span(json& out, const tally& all) {
  out["firstEventAt"] = nullptr;
  out["lastEventAt"] = nullptr;
  if (all.spans.empty())
    return;
  auto both = all.spans.begin()->second;
  for (const auto& [feature, span] : all.spans) {
    both.first_us = std::min(both.first_us, span.first_us);
    both.last_us = std::max(both.last_us, span.last_us);
  }
  out["firstEventAt"] = format_rfc3339(both.first_us);
  out["lastEventAt"] = format_rfc3339(both.last_us);
}

json features_of(const tally& all) {
  json rows = json::array();
  for (const auto& [feature, n] : ranking_of(counts_by(all, &tally::key::feature)))
    rows.push_back({{"feature", feature},
                    {"count", n},
                    {"lastAt", format_rfc3339(all.spans.at(feature).last_us)}});
  return rows;
}

json users_of(const tally& all, bool by_kind) {
  json out{{"total", all.users}};
  if (!by_kind)
    return out;
  ranked kinds{all.users_by_kind.begin(), all.users_by_kind.end()};
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  json rows = json::array();
  for (auto& [kind, n] : kinds)
    rows.push_back({text_or_null(kind), n});
  out["byKind"] = std::move(rows);
  return out;
}

/// Within `relative_error`, and never beyond the shortest and the longest.
json latency_of(const tally& all, const tally::sums& sums) {
  if (sums.timed == 0)
    return {{"sampleCount", 0}, {"avgMs", nullptr}, {"p50Ms", nullptr},
            {"p95Ms", nullptr}, {"p99Ms", nullptr}, {"maxMs", nullptr}};
  auto percentile = [&](double share) -> json {
    auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(sums.timed)));
    for (auto [bucket, n] : all.latencies)
      if ((rank -= static_cast<int64_t>(n)) <= 0)
        return milliseconds(std::clamp(latency_of_bucket(bucket), static_cast<double>(sums.min_us),
                                       static_cast<double>(sums.max_us)));
    return {};
  };
  auto average_us = static_cast<double>(sums.sum_us) / static_cast<double>(sums.timed);
  return {{"sampleCount", sums.timed}, {"avgMs", milliseconds(average_us)},
          {"p50Ms", percentile(0.50)}, {"p95Ms", percentile(0.95)},
          {"p99Ms", percentile(0.99)}, {"maxMs", milliseconds(static_cast<double>(sums.max_us))}};
}

void add_totals(json& out, const tally& all, bool has_latency) {
  tally::sums sums;
  tally::sums of_routes;
  for (const auto& [key, more] : all.counts) {
    sums.add(more);
    if (!key.route.empty())
      of_routes.add(more);
  }
  out["eventsTotal"] = sums.n;
  out["httpTotal"] = of_routes.n;
  out["httpErrors"] = of_routes.errors;
  if (has_latency)
    out["latency"] = latency_of(all, sums);
}

std::map<std::string, uint64_t> statuses_of(const tally& all) {
  std::map<std::string, uint64_t> out;
  for (auto [status, n] : all.statuses)
    out[std::to_string(status)] += n;
  return out;
}

void add_rankings(json& out, const tally& all, const question_parameters& parameters) {
  struct part {
    const char* word;
    const char* field;
    const char* name;
    std::map<std::string, uint64_t> (*counts)(const tally&);
  };
  static constexpr std::array parts{
    part{"routes", "routes", "route",
         [](const tally& counted) { return counts_by(counted, &tally::key::route); }},
    part{"methods", "methods", "method",
         [](const tally& counted) { return counts_by(counted, &tally::key::method); }},
    part{"status", "statusCodes", "status", statuses_of},
    part{"instances", "instances", "instance",
         [](const tally& counted) { return counted.instances; }},
    part{"actions", "actions", "action",
         [](const tally& counted) { return counts_by(counted, &tally::key::action); }}};
  const auto top = parameters.number("top").value_or(default_top);
  for (const auto& part : parts) {
    if (!parameters.has_word("include", part.word))
      continue;
    json rows = json::array();
    for (const auto& [name, n] : ranking_of(part.counts(all), top))
      rows.push_back({{part.name, name}, {"count", n}});
    out[part.field] = std::move(rows);
  }
}

} // namespace

std::string summary(tally_source& counts, const question_parameters& parameters,
                    std::optional<int64_t> start_at_us) {
  const counted_range counted{counts, parameters, start_at_us};
  auto includes = [&](const char* word) { return parameters.has_word("include", word); };
  const auto all = counted.whole({.latency = includes("latency"),
                                  .statuses = includes("status"),
                                  .instances = includes("instances"),
                                  .users = true,
                                  .users_by_kind = includes("user_kinds"),
                                  .addresses = includes("unique_ips")});
  json out{{"timezone", counted.zone()}, {"configStartAt", nullptr}};
  if (start_at_us)
    out["configStartAt"] = format_rfc3339(*start_at_us);
  add_span(out, all);
  if (auto day = counted.first_day())
    out["rangeStartAt"] = format_rfc3339(day_in_zone(counted.zone(), *day).begin_us);
  if (auto day = counted.last_day())
    out["rangeEndAt"] = format_rfc3339(day_in_zone(counted.zone(), *day).end_us);
  if (counted.feature())
    out["featureFilter"] = *counted.feature();
  out["features"] = features_of(all);
  out["uniqueUsers"] = users_of(all, includes("user_kinds"));
  add_totals(out, all, includes("latency"));
  add_rankings(out, all, parameters);
  if (includes("unique_ips"))
    out["uniqueIps"] = all.addresses;
  return out.dump();
}

} // namespace phi::statistics
