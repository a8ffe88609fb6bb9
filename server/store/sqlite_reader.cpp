#include "server/store/sqlite_store.hpp"

#include "config/defaults.hpp"
#include "config/time_text.hpp"
#include "server/platform/time_zones.hpp"
#include "server/store/inspection.hpp"
#include "server/store/rollup.hpp"
#include "server/store/sqlite.hpp"
#include "server/store/statements.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <sqlite3.h>
#include <unordered_map>

namespace phi::store {
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

void bind_filter(statement& ask, int at, const std::optional<std::string>& filter) {
  filter ? ask.bind(at, std::string_view{*filter}) : ask.bind_null(at);
}

class sqlite_reader : public reader_port {
public:
  explicit sqlite_reader(sqlite_settings with) : with_(std::move(with)) {}

  std::string open() override {
    try {
      statements_.clear();
      db_.open(with_.file, database::access::read_only);
      db_.set_busy_timeout(with_.busy_timeout);
      db_.run("PRAGMA cache_size = -8192");
      sqlite3_progress_handler(db_.handle(), 10'000, &sqlite_reader::out_of_time, this);
      return {};
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  query_answer answer(const query& what) override {
    // An operator who wants a copy or a check of everything waits for it.
    bool long_one = what.kind == query_kind::backup || what.kind == query_kind::verify;
    give_up_at_ = std::chrono::steady_clock::now()
                  + (long_one ? defaults::inspection_timeout : with_.query_timeout);
    try {
      if (!db_.is_open())
        if (auto trouble = open(); !trouble.empty())
          return {error_code::store_unavailable, trouble, {}};
      if (what.kind == query_kind::backup) { // VACUUM INTO is a transaction of its own
        for (auto& [text, ask] : statements_)
          ask.reset();
        return {.body = back_up(db_, what.file).dump()};
      }
      // One transaction: all parts of an answer see the same data.
      db_.run("BEGIN");
      auto body = dispatch(what).dump();
      db_.run("COMMIT");
      return {.body = std::move(body)};
    } catch (const sqlite_error& e) {
      abandon();
      if ((e.code() & 0xff) == SQLITE_INTERRUPT)
        return {error_code::query_timeout,
                "the question took longer than stats.query_timeout_ms; ask for"
                " a shorter range or fewer parts",
                {}};
      return {error_code::store_unavailable, e.what(), {}};
    } catch (const std::exception& e) {
      abandon();
      return {error_code::internal, e.what(), {}};
    }
  }

  void adopt(const config& settings) override {
    with_ = sqlite_settings_of(settings);
    db_.set_busy_timeout(with_.busy_timeout);
  }

  void close() override {
    statements_.clear();
    db_.close();
  }

private:
  static int out_of_time(void* self) {
    return std::chrono::steady_clock::now() > static_cast<sqlite_reader*>(self)->give_up_at_;
  }

  void abandon() noexcept {
    try {
      for (auto& [text, ask] : statements_)
        ask.reset();
      if (!db_.autocommit())
        db_.run("ROLLBACK");
    } catch (const std::exception&) {
      close(); // the next question opens it anew
    }
  }

  json dispatch(const query& what) {
    switch (what.kind) {
      case query_kind::daily: return daily(what);
      case query_kind::daily_features: return daily_features(what);
      case query_kind::summary: return summary(what);
      case query_kind::events: return recent_events(db_, what);
      case query_kind::verify: return verify(db_);
      case query_kind::backup: break;
    }
    throw std::logic_error("this question is not known");
  }

  /// A statement by its text: prepared once.
  statement& prepared(std::string_view text) {
    auto at = statements_.find(text);
    if (at == statements_.end())
      at = statements_.emplace(text, statement{db_, text}).first;
    at->second.reset();
    return at->second;
  }

  slot_range clamp(slot_range range) const {
    if (with_.start_at_us)
      range.begin = std::max(range.begin, slot_of(*with_.start_at_us));
    return range;
  }

  slot_range day_slots_of(const std::string& zone, int32_t day) const {
    auto range = day_in_zone(zone, day);
    return clamp({slot_of(range.begin_us), slot_of(range.end_us)});
  }

  slot_range range_of(const query& what) const {
    auto range = all_slots;
    if (what.first_day)
      range.begin = day_slots_of(what.zone, *what.first_day).begin;
    if (what.last_day)
      range.end = day_slots_of(what.zone, *what.last_day).end;
    return clamp(range);
  }

  statement& ask_slots(std::string_view text, slot_range range, const query& what) {
    auto& ask = prepared(text);
    ask.bind(1, range.begin).bind(2, range.end);
    bind_filter(ask, 3, what.feature);
    return ask;
  }

  /// For tables with one row a UTC day and a bit a slot.
  statement& ask_active(std::string_view text, slot_range range, const query& what) {
    auto first_day = day_of_slot(range.begin);
    auto last_day = day_of_slot(range.end - 1);
    auto last_slot = range.end - last_day * slots_per_day;
    auto first = slots_between(range.begin - first_day * slots_per_day, slots_per_day);
    auto last = slots_between(0, last_slot);
    if (first_day == last_day) {
      first = {first.low & last.low, first.high & last.high};
      last = first;
    }
    auto& ask = prepared(text);
    ask.bind(1, first_day).bind(2, last_day);
    bind_filter(ask, 3, what.feature);
    ask.bind(4, static_cast<int64_t>(first.low)).bind(5, static_cast<int64_t>(first.high));
    ask.bind(6, static_cast<int64_t>(last.low)).bind(7, static_cast<int64_t>(last.high));
    return ask;
  }

  json daily(const query& what) {
    json rows = json::array();
    for (auto day = *what.first_day; day <= *what.last_day; ++day) {
      auto& ask = ask_slots(sql::counts_by_route, day_slots_of(what.zone, day), what);
      bind_filter(ask, 4, what.route);
      bind_filter(ask, 5, what.method);
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

  json daily_features(const query& what) {
    json rows = json::array();
    for (auto day = *what.first_day; day <= *what.last_day; ++day) {
      auto range = day_slots_of(what.zone, day);
      if (range.begin >= range.end)
        continue;
      std::unordered_map<std::string, int64_t> users;
      auto& who = ask_active(sql::users_by_feature, range, what);
      while (who.step())
        users[who.text(0)] = who.integer(1);
      auto& ask = ask_slots(sql::counts_by_feature, range, what);
      while (ask.step())
        rows.push_back({{"date", format_date(day)},
                        {"feature", ask.text(0)},
                        {"count", ask.integer(1)},
                        {"uniqueUsers", users[ask.text(0)]}});
    }
    json out{{"timezone", what.zone},
             {"start", format_date(*what.first_day)},
             {"end", format_date(*what.last_day)}};
    if (what.feature)
      out["featureFilter"] = *what.feature;
    out["rows"] = std::move(rows);
    return out;
  }

  json time_or_null(const statement& from, int column) const {
    return from.null(column) ? json{} : json(format_rfc3339(from.integer(column)));
  }

  json summary(const query& what) {
    auto range = range_of(what);
    json out{{"timezone", what.zone}, {"configStartAt", nullptr}};
    if (with_.start_at_us)
      out["configStartAt"] = format_rfc3339(*with_.start_at_us);
    auto& span = ask_slots(sql::span_of_events, range, what);
    span.step();
    out["firstEventAt"] = time_or_null(span, 0);
    out["lastEventAt"] = time_or_null(span, 1);
    if (what.first_day)
      out["rangeStartAt"] = format_rfc3339(day_in_zone(what.zone, *what.first_day).begin_us);
    if (what.last_day)
      out["rangeEndAt"] = format_rfc3339(day_in_zone(what.zone, *what.last_day).end_us);
    if (what.feature)
      out["featureFilter"] = *what.feature;
    out["features"] = features(range, what);
    out["uniqueUsers"] = unique_users(range, what);
    add_totals(out, range, what);
    add_parts(out, range, what);
    return out;
  }

  json features(slot_range range, const query& what) {
    json rows = json::array();
    auto& ask = ask_slots(sql::counts_by_feature, range, what);
    while (ask.step())
      rows.push_back({{"feature", ask.text(0)},
                      {"count", ask.integer(1)},
                      {"lastAt", format_rfc3339(ask.integer(2))}});
    return rows;
  }

  json unique_users(slot_range range, const query& what) {
    auto& total = ask_active(sql::users_total, range, what);
    total.step();
    json out{{"total", total.integer(0)}};
    if (!what.include.user_kinds)
      return out;
    json kinds = json::array();
    auto& ask = ask_active(sql::users_by_kind, range, what);
    while (ask.step())
      kinds.push_back({text_or_null(ask.text(0)), ask.integer(1)});
    out["byKind"] = std::move(kinds);
    return out;
  }

  void add_totals(json& out, slot_range range, const query& what) {
    auto& ask = ask_slots(sql::totals, range, what);
    ask.step();
    out["eventsTotal"] = ask.integer(0);
    out["httpTotal"] = ask.integer(1);
    out["httpErrors"] = ask.integer(2);
    if (what.include.latency)
      out["latency"] = latency(range, what, ask.integer(3), ask.integer(4), ask.integer(5));
  }

  json ranking(std::string_view text, const char* name, slot_range range, const query& what) {
    json rows = json::array();
    auto& ask = ask_slots(text, range, what);
    ask.bind(4, int64_t{what.top});
    while (ask.step())
      rows.push_back({{name, ask.text(0)}, {"count", ask.integer(1)}});
    return rows;
  }

  void add_parts(json& out, slot_range range, const query& what) {
    const auto& parts = what.include;
    if (parts.routes)
      out["routes"] = ranking(sql::top_routes, "route", range, what);
    if (parts.methods)
      out["methods"] = ranking(sql::top_methods, "method", range, what);
    if (parts.status)
      out["statusCodes"] = ranking(sql::top_statuses, "status", range, what);
    if (parts.instances)
      out["instances"] = ranking(sql::top_instances, "instance", range, what);
    if (parts.actions)
      out["actions"] = ranking(sql::top_actions, "action", range, what);
    if (parts.unique_ips) {
      auto& ask = ask_active(sql::addresses_total, range, what);
      ask.step();
      out["uniqueIps"] = ask.integer(0);
    }
  }

  json latency(slot_range range, const query& what, int64_t timed, int64_t sum_us, int64_t max_us) {
    std::vector<std::pair<int32_t, int64_t>> buckets;
    auto& ask = ask_slots(sql::latency_buckets, range, what);
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
    return {{"sampleCount", timed},
            {"avgMs", to_ms(static_cast<double>(sum_us) / static_cast<double>(timed))},
            {"p50Ms", percentile(0.50)},
            {"p95Ms", percentile(0.95)},
            {"p99Ms", percentile(0.99)},
            {"maxMs", to_ms(static_cast<double>(max_us))}};
  }

  sqlite_settings with_;
  database db_;
  std::unordered_map<std::string_view, statement> statements_;
  std::chrono::steady_clock::time_point give_up_at_{};
};

} // namespace

reader_port_ptr make_sqlite_reader(sqlite_settings with) {
  return std::make_shared<sqlite_reader>(std::move(with));
}

} // namespace phi::store
