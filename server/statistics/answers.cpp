#include "server/statistics/answers.hpp"

#include "protocol/text/rfc3339.hpp"
#include "server/statistics/rollup.hpp"
#include "server/statistics/statements.hpp"
#include "server/statistics/time_zones.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <unordered_map>

namespace phi::statistics {
namespace {

using json = nlohmann::ordered_json;

/// Half-open.
struct slot_range {
  int64_t begin = 0;
  int64_t end = 0;
};

constexpr slot_range all_slots{-100'000'000, 100'000'000};

json text_or_null(std::string text) {
  return text.empty() ? json{} : json(std::move(text));
}

class answering {
public:
  answering(row_source& from, const query& what, std::optional<int64_t> start_at_us)
    : from_(from),
      what_(what),
      start_at_us_(start_at_us) {}

  json answer() {
    switch (what_.kind) {
      case query_kind::daily: return daily();
      case query_kind::daily_features: return daily_features();
      case query_kind::summary: return summary();
      default: throw std::logic_error("this question is not known");
    }
  }

private:
  slot_range clamp(slot_range range) const {
    if (start_at_us_)
      range.begin = std::max(range.begin, slot_of(*start_at_us_));
    return range;
  }

  slot_range day_slots_of(const std::string& zone, int32_t day) const {
    auto range = day_in_zone(zone, day);
    return clamp({slot_of(range.begin_us), slot_of(range.end_us)});
  }

  slot_range range_of() const {
    auto range = all_slots;
    if (what_.first_day)
      range.begin = day_slots_of(what_.zone, *what_.first_day).begin;
    if (what_.last_day)
      range.end = day_slots_of(what_.zone, *what_.last_day).end;
    return clamp(range);
  }

  row_cursor& ask_slots(std::string_view text, slot_range range, parameter fourth = {},
                        parameter fifth = {}) {
    return from_.ask(text, {range.begin, range.end, text_or_any(what_.feature), fourth, fifth});
  }

  /// For tables with one row a UTC day and a bit a slot.
  row_cursor& ask_active(std::string_view text, slot_range range) {
    auto first_day = day_of_slot(range.begin);
    auto last_day = day_of_slot(range.end - 1);
    auto last_slot = range.end - last_day * slots_per_day;
    auto first = slots_between(range.begin - first_day * slots_per_day, slots_per_day);
    auto last = slots_between(0, last_slot);
    if (first_day == last_day) {
      first = {first.low & last.low, first.high & last.high};
      last = first;
    }
    return from_.ask(text, {first_day, last_day, text_or_any(what_.feature),
                            static_cast<int64_t>(first.low), static_cast<int64_t>(first.high),
                            static_cast<int64_t>(last.low), static_cast<int64_t>(last.high)});
  }

  json daily() {
    json rows = json::array();
    for (auto day = *what_.first_day; day <= *what_.last_day; ++day) {
      auto& ask = ask_slots(sql::counts_by_route, day_slots_of(what_.zone, day),
                            text_or_any(what_.route), text_or_any(what_.method));
      while (ask.step())
        rows.push_back({{"date", format_date(day)},
                        {"feature", text_or_null(ask.text(0))},
                        {"route", text_or_null(ask.text(1))},
                        {"method", text_or_null(ask.text(2))},
                        {"count", ask.integer(3)},
                        {"errCount", ask.integer(4)}});
    }
    return rows;
  }

  json daily_features() {
    json rows = json::array();
    for (auto day = *what_.first_day; day <= *what_.last_day; ++day) {
      auto range = day_slots_of(what_.zone, day);
      if (range.begin >= range.end)
        continue;
      std::unordered_map<std::string, int64_t> users;
      auto& who = ask_active(sql::users_by_feature, range);
      while (who.step())
        users[who.text(0)] = who.integer(1);
      auto& ask = ask_slots(sql::counts_by_feature, range);
      while (ask.step())
        rows.push_back({{"date", format_date(day)},
                        {"feature", ask.text(0)},
                        {"count", ask.integer(1)},
                        {"uniqueUsers", users[ask.text(0)]}});
    }
    json out{{"timezone", what_.zone},
             {"start", format_date(*what_.first_day)},
             {"end", format_date(*what_.last_day)}};
    if (what_.feature)
      out["featureFilter"] = *what_.feature;
    out["rows"] = std::move(rows);
    return out;
  }

  json time_or_null(const row_cursor& from, int column) const {
    return from.null(column) ? json{} : json(format_rfc3339(from.integer(column)));
  }

  json summary() {
    auto range = range_of();
    json out{{"timezone", what_.zone}, {"configStartAt", nullptr}};
    if (start_at_us_)
      out["configStartAt"] = format_rfc3339(*start_at_us_);
    auto& span = ask_slots(sql::span_of_events, range);
    span.step();
    out["firstEventAt"] = time_or_null(span, 0);
    out["lastEventAt"] = time_or_null(span, 1);
    if (what_.first_day)
      out["rangeStartAt"] = format_rfc3339(day_in_zone(what_.zone, *what_.first_day).begin_us);
    if (what_.last_day)
      out["rangeEndAt"] = format_rfc3339(day_in_zone(what_.zone, *what_.last_day).end_us);
    if (what_.feature)
      out["featureFilter"] = *what_.feature;
    out["features"] = features(range);
    out["uniqueUsers"] = unique_users(range);
    add_totals(out, range);
    add_parts(out, range);
    return out;
  }

  json features(slot_range range) {
    json rows = json::array();
    auto& ask = ask_slots(sql::counts_by_feature, range);
    while (ask.step())
      rows.push_back({{"feature", ask.text(0)},
                      {"count", ask.integer(1)},
                      {"lastAt", format_rfc3339(ask.integer(2))}});
    return rows;
  }

  json unique_users(slot_range range) {
    auto& total = ask_active(sql::users_total, range);
    total.step();
    json out{{"total", total.integer(0)}};
    if (!what_.include.user_kinds)
      return out;
    json kinds = json::array();
    auto& ask = ask_active(sql::users_by_kind, range);
    while (ask.step())
      kinds.push_back({text_or_null(ask.text(0)), ask.integer(1)});
    out["byKind"] = std::move(kinds);
    return out;
  }

  void add_totals(json& out, slot_range range) {
    auto& ask = ask_slots(sql::totals, range);
    ask.step();
    out["eventsTotal"] = ask.integer(0);
    out["httpTotal"] = ask.integer(1);
    out["httpErrors"] = ask.integer(2);
    if (what_.include.latency)
      out["latency"] = latency(range, ask.integer(3), wide_sum(ask, 4), ask.integer(6));
  }

  json ranking(std::string_view text, const char* name, slot_range range) {
    json rows = json::array();
    auto& ask = ask_slots(text, range, int64_t{what_.top});
    while (ask.step())
      rows.push_back({{name, ask.text(0)}, {"count", ask.integer(1)}});
    return rows;
  }

  void add_parts(json& out, slot_range range) {
    const auto& parts = what_.include;
    if (parts.routes)
      out["routes"] = ranking(sql::top_routes, "route", range);
    if (parts.methods)
      out["methods"] = ranking(sql::top_methods, "method", range);
    if (parts.status)
      out["statusCodes"] = ranking(sql::top_statuses, "status", range);
    if (parts.instances)
      out["instances"] = ranking(sql::top_instances, "instance", range);
    if (parts.actions)
      out["actions"] = ranking(sql::top_actions, "action", range);
    if (parts.unique_ips) {
      auto& ask = ask_active(sql::addresses_total, range);
      ask.step();
      out["uniqueIps"] = ask.integer(0);
    }
  }

  json latency(slot_range range, int64_t timed, double sum_us, int64_t max_us) {
    std::vector<std::pair<int32_t, int64_t>> buckets;
    auto& ask = ask_slots(sql::latency_buckets, range);
    while (ask.step())
      buckets.emplace_back(static_cast<int32_t>(ask.integer(0)), ask.integer(1));
    auto to_ms = [](double us) { return std::round(us) / 1000; };
    auto percentile = [&](double share) -> json {
      auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(timed)));
      for (auto [bucket, n] : buckets)
        if ((rank -= n) <= 0)
          return to_ms(std::min(latency_of_bucket(bucket), static_cast<double>(max_us)));
      return {};
    };
    if (timed == 0)
      return {{"sampleCount", 0}, {"avgMs", nullptr}, {"p50Ms", nullptr},
              {"p95Ms", nullptr}, {"p99Ms", nullptr}, {"maxMs", nullptr}};
    return {{"sampleCount", timed},      {"avgMs", to_ms(sum_us / static_cast<double>(timed))},
            {"p50Ms", percentile(0.50)}, {"p95Ms", percentile(0.95)},
            {"p99Ms", percentile(0.99)}, {"maxMs", to_ms(static_cast<double>(max_us))}};
  }

  row_source& from_;
  const query& what_;
  std::optional<int64_t> start_at_us_;
};

} // namespace

json answer_from_rollups(row_source& from, const query& what, std::optional<int64_t> start_at_us) {
  return answering{from, what, start_at_us}.answer();
}

} // namespace phi::statistics
