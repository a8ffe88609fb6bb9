// GET /stats/series against a walk over the events: every interval, dimension and choice, in zones
// whose clocks are moved.

#include "protocol/own_request.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/latency.hpp"
#include "tests/support/answers.hpp"
#include "tests/support/counts_in_memory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/local_clock.hpp"
#include "tests/support/random_events.hpp"
#include "tests/support/reference_statistics.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>

using namespace phi;
using namespace phi::testing;
using statistics::attribute;
using json = nlohmann::ordered_json;

namespace {

/// What is asked, as the test means it.
struct asked_series {
  std::string zone, interval = "day", by = "none";
  std::string start, end;
  int64_t begin_us = 0, end_us = 0;
  std::vector<std::pair<std::string, std::string>> filters;
  std::vector<std::string> metrics;
  size_t top = 20;
  bool own = false;

  std::string query_string() const {
    auto out = "start=" + start + "&end=" + end + "&timezone=" + zone + "&interval=" + interval
               + "&by=" + by + "&top=" + std::to_string(top) + "&metrics=";
    for (const auto& metric : metrics)
      out += metric + ",";
    if (own)
      out += "&source=phi";
    for (const auto& [name, value] : filters)
      out += "&" + name + "=" + value;
    return out;
  }
};

constexpr const char* names[] = {"feature", "action", "route",    "method",
                                 "status",  "class",  "instance", "user_kind"};

std::string value_by(const event& e, const std::string& name) {
  auto at = std::find(std::begin(names), std::end(names), name) - std::begin(names);
  return value_of(e, static_cast<attribute>(at));
}

bool is_chosen(const event& e, const asked_series& asked) {
  if ((e.action == own_request_action) != asked.own)
    return false;
  bool by_instance = asked.by == "instance";
  for (const auto* name : names) {
    bool filtered = false;
    bool any = false;
    for (const auto& [filter, value] : asked.filters)
      if (filter == name) {
        filtered = true;
        any |= value_by(e, name) == value;
        by_instance |= filter == "instance";
      }
    if (filtered && !any)
      return false;
  }
  return !by_instance || !e.instance.empty();
}

struct some_events {
  std::vector<const event*> chosen;
  std::set<std::string> addresses; ///< of all there are

  json number(const std::string& metric) const {
    std::set<std::string> users;
    std::vector<int64_t> durations;
    uint64_t errors = 0;
    __int128 sum = 0;
    for (const auto* e : chosen) {
      errors += e->status >= 400;
      if (!e->user_hash.empty() && e->action != own_request_action)
        users.insert(e->user_hash);
      if (e->duration_us >= 0) {
        durations.push_back(e->duration_us);
        sum += e->duration_us;
      }
    }
    std::sort(durations.begin(), durations.end());
    if (metric == "events")
      return chosen.size();
    if (metric == "errors")
      return errors;
    if (metric == "error_rate")
      return chosen.empty()
               ? json{}
               : json(static_cast<double>(errors) / static_cast<double>(chosen.size()));
    if (metric == "users")
      return users.size();
    if (metric == "addresses")
      return addresses.size();
    if (durations.empty())
      return {};
    auto us = metric == "min"   ? static_cast<double>(durations.front())
              : metric == "max" ? static_cast<double>(durations.back())
              : metric == "avg" ? static_cast<double>(sum) / static_cast<double>(durations.size())
                                : quantile(durations, std::stod("0." + metric.substr(1)));
    return std::round(us) / 1000;
  }

private:
  static double quantile(const std::vector<int64_t>& sorted, double share) {
    auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    auto near = statistics::latency_of_bucket(statistics::latency_bucket(sorted[rank - 1]));
    return std::clamp(near, static_cast<double>(sorted.front()),
                      static_cast<double>(sorted.back()));
  }
};

std::string field_of(const std::string& metric) {
  if (metric == "error_rate")
    return "errorRate";
  bool counted =
    metric == "events" || metric == "errors" || metric == "users" || metric == "addresses";
  return counted ? metric : metric + "Ms";
}

json or_null(const std::string& text) {
  return text.empty() ? json{} : json(text);
}

/// rows, totals and keys.
class reference_series {
public:
  reference_series(const std::vector<event>& events, const asked_series& asked)
    : asked_(asked),
      clock_(asked.zone) {
    for (auto us = asked.begin_us; us < asked.end_us; us += 900'000'000)
      if (auto label = label_of(us); labels_.empty() || labels_.back() != label)
        labels_.push_back(label);
    for (const auto& e : events)
      if (e.time_us >= asked.begin_us && e.time_us < asked.end_us)
        add(e);
  }

  /// Those that are told apart; all others are one key.
  std::vector<std::string> first_keys() const {
    std::vector<std::pair<std::string, const some_events*>> ranked;
    for (const auto& [key, some] : keys_)
      if (asked_.by != "user_kind" || some.number("users") > 0)
        ranked.emplace_back(key, &some);
    const auto* by = asked_.by == "user_kind" ? "users" : "events";
    std::stable_sort(ranked.begin(), ranked.end(), [&](const auto& a, const auto& b) {
      return a.second->number(by) > b.second->number(by);
    });
    std::vector<std::string> out;
    for (size_t i = 0; i < ranked.size() && i < asked_.top; ++i)
      out.push_back(ranked[i].first);
    if (ranked.size() > out.size())
      out.push_back("(other)");
    return out;
  }

  void put(json& into, std::vector<std::string> keys) const {
    into["rows"] = json::array();
    for (const auto& label : labels_)
      if (asked_.by == "none")
        into["rows"].push_back(row({{"bucket", label}}, of(buckets_, label)));
      else
        for (const auto& key : keys)
          into["rows"].push_back(
            row({{"bucket", label}, {"key", or_null(key)}}, of_key(of(cells_, label), keys, key)));
    into["totals"] = row(json::object(), all_);
    if (asked_.by == "none")
      return;
    into["keys"] = json::array();
    for (const auto& key : keys)
      into["keys"].push_back(row({{"key", or_null(key)}}, of_key(keys_, keys, key)));
  }

private:
  std::string label_of(int64_t time_us) const {
    return clock_.bucket(time_us, asked_.interval, asked_.begin_us);
  }

  using by_key = std::map<std::string, some_events>;

  void add(const event& e) {
    auto label = label_of(e.time_us);
    if (!e.address_hash.empty())
      for (auto* some : {&all_, &buckets_[label]})
        some->addresses.insert(e.address_hash);
    if (!is_chosen(e, asked_))
      return;
    auto key = asked_.by == "none" ? "" : value_by(e, asked_.by);
    for (auto* some : {&all_, &buckets_[label], &keys_[key], &cells_[label][key]})
      some->chosen.push_back(&e);
  }

  template <class Map>
  static typename Map::mapped_type of(const Map& all, const std::string& name) {
    auto found = all.find(name);
    return found == all.end() ? typename Map::mapped_type{} : found->second;
  }

  static some_events of_key(const by_key& all, const std::vector<std::string>& keys,
                            const std::string& key) {
    if (key != "(other)")
      return of(all, key);
    some_events out;
    for (const auto& [other, some] : all)
      if (std::find(keys.begin(), keys.end(), other) == keys.end())
        out.chosen.insert(out.chosen.end(), some.chosen.begin(), some.chosen.end());
    return out;
  }

  json row(json begin, const some_events& some) const {
    for (const auto& metric : asked_.metrics)
      begin[field_of(metric)] = some.number(metric);
    return begin;
  }

  const asked_series& asked_;
  local_clock clock_;
  std::vector<std::string> labels_;
  some_events all_;
  std::map<std::string, some_events> buckets_;
  by_key keys_;
  std::map<std::string, by_key> cells_;
};

constexpr const char* zones[] = {"UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe",
                                 "America/St_Johns"};
constexpr int32_t moved[] = {20'541 /* 2026-03-29 */, 20'751 /* 10-25 */, 20'547 /* 4-5 */,
                             20'520 /* 3-8 */, 20'730 /* 10-4 */};

asked_series random_series(random_events& random, int32_t middle,
                           const std::vector<event>& events) {
  asked_series out;
  out.zone = zones[random.below(5)];
  auto first = middle - static_cast<int32_t>(random.below(3));
  auto last = middle + static_cast<int32_t>(random.below(3));
  const local_clock clock{out.zone};
  out.start = format_date(first);
  out.end = format_date(last);
  out.begin_us = clock.begin_of(first);
  out.end_us = clock.begin_of(last + 1);
  if (random.below(3) == 0) {
    out.begin_us += static_cast<int64_t>(random.below(60)) * 900'000'000;
    out.end_us = out.begin_us + static_cast<int64_t>(1 + random.below(150)) * 900'000'000;
    out.start = format_rfc3339(out.begin_us);
    out.end = format_rfc3339(out.end_us);
  }
  static constexpr const char* intervals[] = {"hour", "day", "week", "month"};
  out.interval = intervals[random.below(4)];
  if (random.below(3))
    out.by = names[random.below(std::size(names))];
  for (auto count = random.below(3); count > 0; --count) {
    const std::string name = names[random.below(std::size(names))];
    for (auto values = 1 + random.below(2); values > 0; --values)
      if (auto value = value_by(events[random.below(events.size())], name); !value.empty())
        if (name != "class" || out.filters.empty() || out.filters.back().first != name)
          if (std::find(out.filters.begin(), out.filters.end(), std::pair{name, value})
              == out.filters.end())
            out.filters.emplace_back(name, value);
  }
  static constexpr const char* metrics[] = {"events", "errors", "error_rate", "users", "addresses",
                                            "avg",    "min",    "max",        "p50",   "p90",
                                            "p95",    "p99",    "p999"};
  for (const auto* metric : metrics)
    if (random.below(3) == 0)
      out.metrics.emplace_back(metric);
  if (out.metrics.empty())
    out.metrics.emplace_back("events");
  out.top = 1 + random.below(6);
  out.own = random.below(6) == 0;
  return out;
}

} // namespace

TEST_CASE("series: rows, totals and keys are those of a walk over the events") {
  int answered = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    random_events random{seed};
    const auto middle = moved[random.below(5)];
    random_events source{seed, {.first_day = middle - 3, .days = 7}};
    const auto events = source.some(500);
    counts_in_memory counts{events};
    for (int question = 0; question < 60; ++question) {
      const auto asked = random_series(random, middle, events);
      const auto text = asked.query_string();
      CAPTURE(text);
      if (!read_answer("/stats/series", text).errors.empty())
        continue; // what cubes cannot tell
      ++answered;
      const reference_series reference{events, asked};
      json expected;
      reference.put(expected, reference.first_keys());
      auto answer = json::parse(answer_text(counts, "/stats/series", text));
      for (const auto* part : {"rows", "totals"})
        REQUIRE(answer[part].dump() == expected[part].dump());
      REQUIRE(answer.value("keys", json{}).dump() == expected.value("keys", json{}).dump());
    }
  }
  CHECK(answered > 150);
}

TEST_CASE("series: what is asked stands beside the rows, and there are rows of nothing") {
  counts_in_memory none{{}};
  CHECK(answer_text(none, "/stats/series",
                    "start=2026-01-31&end=2026-02-01&feature=b&feature=a&class=4xx,5xx"
                    "&metrics=events,error_rate,avg")
        == R"({"timezone":"UTC","start":"2026-01-31","end":"2026-02-01","interval":"day",)"
           R"("by":"none","filters":{"feature":["a","b"],"class":["4xx","5xx"]},"rows":[)"
           R"({"bucket":"2026-01-31","events":0,"errorRate":null,"avgMs":null},)"
           R"({"bucket":"2026-02-01","events":0,"errorRate":null,"avgMs":null}],)"
           R"("totals":{"events":0,"errorRate":null,"avgMs":null}})");
  CHECK(answer_text(none, "/stats/series",
                    "start=2026-01-31T22:30:00Z&end=2026-01-31T23:15:00Z&interval=hour&by=route"
                    "&timezone=Asia/Kathmandu")
        == R"({"timezone":"Asia/Kathmandu","start":"2026-01-31T22:30:00Z",)"
           R"("end":"2026-01-31T23:15:00Z","interval":"hour","by":"route","filters":{},"rows":[],)"
           R"("totals":{"events":0,"errors":0},"keys":[]})");
}

TEST_CASE("series: the range before, or any other, has the same keys") {
  constexpr int64_t noon = 20'000 * day_us + day_us / 2;
  std::vector<event> events;
  auto add = [&](int day, const char* feature, int times) {
    for (int i = 0; i < times; ++i)
      events.push_back({.time_us = noon + day * day_us, .feature = feature});
  };
  add(0, "a", 3);
  add(0, "b", 2);
  add(-1, "c", 5); // only before
  add(-2, "b", 7);
  counts_in_memory counts{events};
  const auto day = format_date(20'000);
  auto answer = json::parse(
    answer_text(counts, "/stats/series",
                "start=" + day + "&end=" + day + "&by=feature&metrics=events&compare=previous"));
  CHECK(answer["rows"].dump()
        == R"([{"bucket":"2024-10-04","key":"a","events":3},)"
           R"({"bucket":"2024-10-04","key":"b","events":2},)"
           R"_({"bucket":"2024-10-04","key":"(other)","events":0}])_");
  CHECK(answer["compare"].dump()
        == R"({"start":"2024-10-03","end":"2024-10-03","rows":[)"
           R"({"bucket":"2024-10-03","key":"a","events":0},)"
           R"({"bucket":"2024-10-03","key":"b","events":0},)"
           R"_({"bucket":"2024-10-03","key":"(other)","events":5}],"totals":{"events":5},)_"
           R"("keys":[{"key":"a","events":0},{"key":"b","events":0},)"
           R"_({"key":"(other)","events":5}]})_");
  auto other = json::parse(answer_text(
    counts, "/stats/series",
    "start=" + day + "&end=" + day + "&metrics=events&compare=2024-10-02..2024-10-03T00:00:00Z"));
  CHECK(other["compare"].dump()
        == R"({"start":"2024-10-02","end":"2024-10-03T00:00:00Z",)"
           R"("rows":[{"bucket":"2024-10-02","events":7}],"totals":{"events":7}})");
  auto hours = json::parse(answer_text(
    counts, "/stats/series",
    "start=2024-10-04T12:00:00Z&end=2024-10-04T13:00:00Z&metrics=events&compare=previous"));
  CHECK(hours["compare"]["start"] == "2024-10-04T11:00:00Z");
  CHECK(hours["compare"]["end"] == "2024-10-04T12:00:00Z");
}

TEST_CASE("series: nobody is told more rows than anybody reads, and how to ask for fewer") {
  std::vector<event> events;
  for (int i = 0; i < 30; ++i)
    events.push_back({.time_us = 20'000 * day_us, .feature = "f" + std::to_string(i)});
  counts_in_memory counts{events};
  const std::string year = "start=2024-01-01&end=2024-12-31&interval=hour&by=feature";
  CHECK_THROWS_WITH_AS(
    answer_text(counts, "/stats/series", year),
    "the answer would have 184 464 rows, and may have up to 50 000; ask for a longer interval, a "
    "shorter range, or a smaller top",
    statistics::refused_question);
  CHECK(json::parse(answer_text(counts, "/stats/series", year + "&top=4"))["rows"].size()
        == 5 * 8784);
}

TEST_CASE("series: what cubes cannot tell is refused, with what they can") {
  auto complaint = [](const std::string& more) {
    CAPTURE(more);
    auto read = read_answer("/stats/series", "start=2026-01-01&end=2026-01-02&" + more);
    REQUIRE(read.errors.size() == 1);
    return read.errors[0].pointer + ": " + read.errors[0].message;
  };
  CHECK(complaint("by=route&metrics=events,users")
        == "metrics: users: counted by feature and user_kind; here by route");
  CHECK(complaint("action=a&metrics=p99")
        == "metrics: p99: counted by feature, route and method; here by action");
  CHECK(complaint("by=feature&metrics=addresses")
        == "metrics: addresses: counted only all together; here by feature");
  CHECK(complaint("by=instance&metrics=errors")
        == "metrics: errors: counted by feature, action, route, method, status and class; here by "
           "instance");
  CHECK(complaint("by=instance&route=/a")
        == "metrics: nothing is counted by route, instance together; events are, by feature, "
           "action, route, method, status and class, or by feature and instance, and users by "
           "feature and user_kind");
  CHECK(complaint("by=rout")
        == "by: expected one of none, feature, action, route, method, status, class, instance, "
           "user_kind; did you mean route?");
  CHECK(complaint("status=99") == "status: expected a status from 100 to 599");
  for (const auto* status : {"4xx", "0404", "600", "+40", " 404", "4040"})
    CHECK(complaint("status=" + std::string{status})
          == "status: expected a status from 100 to 599");
  for (const auto* status : {"100", "404", "599"})
    CHECK(
      read_answer("/stats/series", "start=2026-01-01&end=2026-01-02&status=" + std::string{status})
        .errors.empty());
  CHECK(complaint("compare=last")
        == "compare: expected previous, or two days or times with .. between them, such as "
           "2026-01-01..2026-01-31 or yesterday..yesterday");
  CHECK(complaint("compare=2025-01-02..2025-01-01") == "compare: end must not be before start");
  CHECK(complaint("compare=2024-01-02..2025-01-01")
        == "compare: it may be twice as long as the range that it is compared with");
  CHECK(complaint("top=0") == "top: expected a whole number from 1 to 200");
}
