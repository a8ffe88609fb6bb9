// The answers to the questions about what was counted, each against a walk over the events that
// asks the time zone for the local day of every single one.

#include "protocol/own_request.hpp"
#include "protocol/text/rfc3339.hpp"
#include "server/statistics/latency.hpp"
#include "tests/support/answers.hpp"
#include "tests/support/counts_in_memory.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/local_clock.hpp"
#include "tests/support/random_events.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

using namespace phi;
using namespace phi::testing;
using json = nlohmann::ordered_json;
using statistics::answer_list;

namespace {

/// Clocks that are moved by an hour and by half of one, and offsets of all kinds.
constexpr const char* zones[] = {"UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe",
                                 "America/St_Johns"};

/// Some days around one on which clocks are moved in a zone of `zones`.
struct asked_days {
  const char* zone;
  std::string first, last;
  random_kinds kinds;

  std::string range() const {
    return "start=" + first + "&end=" + last + "&timezone=" + std::string{zone};
  }
};

asked_days days_of(random_events& random) {
  static constexpr int32_t moved[] = {20'541 /* 2026-03-29 */, 20'751 /* 10-25 */, 20'547 /* 4-5 */,
                                      20'520 /* 3-8 */, 20'730 /* 10-4 */};
  auto middle = moved[random.below(5)];
  auto first = middle - static_cast<int32_t>(random.below(4));
  auto last = middle + static_cast<int32_t>(random.below(3));
  return {zones[random.below(5)],
          format_date(first),
          format_date(last),
          {.first_day = middle - 3, .days = 7}};
}

std::vector<std::string> dates(const asked_days& asked) {
  std::vector<std::string> out;
  for (auto day = *parse_date(asked.first); day <= *parse_date(asked.last); ++day)
    out.push_back(format_date(day));
  return out;
}

/// Those of a user in the days that are asked for.
std::vector<const event*> events_in(const std::vector<event>& events, const asked_days& asked) {
  const local_clock clock{asked.zone};
  std::vector<const event*> out;
  for (const auto& e : events) {
    auto date = clock.date(e.time_us);
    if (asked.first <= date && date <= asked.last)
      out.push_back(&e);
  }
  return out;
}

bool is_own(const event& e) {
  return e.action == own_request_action;
}

json or_null(const std::string& text) {
  return text.empty() ? json{} : json(text);
}

json head_of(const asked_days& asked) {
  return {{"timezone", asked.zone}, {"start", asked.first}, {"end", asked.last}};
}

json reference_dau(const std::vector<event>& events, const asked_days& asked) {
  const local_clock clock{asked.zone};
  std::map<std::string, std::set<std::string>> users, addresses;
  for (const auto* e : events_in(events, asked)) {
    auto date = clock.date(e->time_us);
    if (!e->address_hash.empty())
      addresses[date].insert(e->address_hash);
    if (!is_own(*e) && !e->user_hash.empty())
      users[date].insert(e->user_hash);
  }
  auto out = head_of(asked);
  out["rows"] = json::array();
  for (const auto& date : dates(asked))
    out["rows"].push_back(
      {{"date", date}, {"activeUsers", users[date].size()}, {"activeIps", addresses[date].size()}});
  return out;
}

struct requests {
  uint64_t total = 0, client_errors = 0, server_errors = 0;
  uint64_t errors() const { return client_errors + server_errors; }
  void add(int32_t status) {
    ++total;
    client_errors += status >= 400 && status < 500;
    server_errors += status >= 500;
  }
  void put(json& into) const {
    auto rate = [&](uint64_t some) {
      return total == 0 ? 0.0 : static_cast<double>(some) / static_cast<double>(total);
    };
    into.update(json{{"total", total},
                     {"errors", errors()},
                     {"errorRate", rate(errors())},
                     {"clientErrors", client_errors},
                     {"serverErrors", server_errors},
                     {"clientErrorRate", rate(client_errors)},
                     {"serverErrorRate", rate(server_errors)}});
  }
};

json reference_http(const std::vector<event>& events, const asked_days& asked,
                    const std::string& route, size_t top) {
  const local_clock clock{asked.zone};
  using route_and_method = std::pair<std::string, std::string>;
  std::map<std::string, std::map<route_and_method, requests>> days;
  for (const auto* e : events_in(events, asked))
    if (!is_own(*e) && !e->route.empty() && (route.empty() || route == e->route))
      days[clock.date(e->time_us)][{e->route, e->method}].add(e->status);
  auto out = head_of(asked);
  if (!route.empty())
    out["routeFilter"] = route;
  out["totals"] = json::array();
  out["routes"] = json::array();
  for (const auto& date : dates(asked)) {
    requests all;
    std::vector<std::pair<route_and_method, requests>> worst{days[date].begin(), days[date].end()};
    for (const auto& [key, some] : worst) {
      all.total += some.total;
      all.client_errors += some.client_errors;
      all.server_errors += some.server_errors;
    }
    all.put(out["totals"].emplace_back(json{{"date", date}}));
    std::stable_sort(worst.begin(), worst.end(), [](const auto& a, const auto& b) {
      return a.second.errors() != b.second.errors() ? a.second.errors() > b.second.errors()
                                                    : a.second.total > b.second.total;
    });
    worst.resize(std::min(worst.size(), top));
    for (const auto& [key, some] : worst)
      some.put(out["routes"].emplace_back(
        json{{"date", date}, {"route", key.first}, {"method", or_null(key.second)}}));
  }
  return out;
}

double ms(double us) {
  return std::round(us) / 1000;
}

/// All durations in order, and then the one of that rank, as exact as its histogram.
double quantile(const std::vector<int64_t>& sorted, double share) {
  auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  auto near = statistics::latency_of_bucket(statistics::latency_bucket(sorted[rank - 1]));
  return std::clamp(near, static_cast<double>(sorted.front()), static_cast<double>(sorted.back()));
}

json reference_latency(const std::vector<event>& events, const asked_days& asked,
                       const std::string& bucket) {
  const local_clock clock{asked.zone};
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::vector<int64_t>>
    groups;
  for (const auto* e : events_in(events, asked))
    if (!is_own(*e) && e->duration_us >= 0)
      groups[{clock.bucket(e->time_us, bucket), e->feature, e->route, e->method}].push_back(
        e->duration_us);
  auto out = head_of(asked);
  out["bucket"] = bucket;
  out["rows"] = json::array();
  for (auto& [key, durations] : groups) {
    std::sort(durations.begin(), durations.end());
    __int128 sum = 0;
    for (auto us : durations)
      sum += us;
    out["rows"].push_back(
      {{"bucket", std::get<0>(key)},
       {"feature", or_null(std::get<1>(key))},
       {"route", or_null(std::get<2>(key))},
       {"method", or_null(std::get<3>(key))},
       {"count", durations.size()},
       {"minMs", ms(static_cast<double>(durations.front()))},
       {"avgMs", ms(static_cast<double>(sum) / static_cast<double>(durations.size()))},
       {"maxMs", ms(static_cast<double>(durations.back()))},
       {"p50Ms", ms(quantile(durations, 0.5))},
       {"p90Ms", ms(quantile(durations, 0.9))},
       {"p95Ms", ms(quantile(durations, 0.95))},
       {"p99Ms", ms(quantile(durations, 0.99))}});
  }
  return out;
}

} // namespace

TEST_CASE("answers: users, requests and latencies of local days are those of the events") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    random_events days{seed};
    const auto asked = days_of(days);
    CAPTURE(asked.range());
    random_events random{seed, asked.kinds};
    const auto events = random.some(600);
    counts_in_memory counts{events};
    CHECK(answer_text(counts, "/stats/daily/dau", asked.range())
          == reference_dau(events, asked).dump());
    CHECK(answer_text(counts, "/stats/daily/http", asked.range())
          == reference_http(events, asked, "", 200).dump());
    CHECK(answer_text(counts, "/stats/daily/http", asked.range() + "&route=/r1&top=1")
          == reference_http(events, asked, "/r1", 1).dump());
    for (std::string bucket : {"day", "week", "month"})
      CHECK(answer_text(counts, "/stats/latency", asked.range() + "&bucket=" + bucket)
            == reference_latency(events, asked, bucket).dump());
  }
}

TEST_CASE("answers: days without anything are there, with zeros") {
  counts_in_memory none{{}};
  CHECK(answer_text(none, "/stats/daily/dau", "start=2026-01-31&end=2026-02-01")
        == R"({"timezone":"UTC","start":"2026-01-31","end":"2026-02-01","rows":[)"
           R"({"date":"2026-01-31","activeUsers":0,"activeIps":0},)"
           R"({"date":"2026-02-01","activeUsers":0,"activeIps":0}]})");
  CHECK(answer_text(none, "/stats/daily/http", "start=2026-01-31&end=2026-01-31&method=GET")
        == R"({"timezone":"UTC","start":"2026-01-31","end":"2026-01-31","methodFilter":"GET",)"
           R"("totals":[{"date":"2026-01-31","total":0,"errors":0,"errorRate":0.0,)"
           R"("clientErrors":0,"serverErrors":0,"clientErrorRate":0.0,"serverErrorRate":0.0}],)"
           R"("routes":[]})");
  CHECK(answer_text(none, "/stats/latency", "start=2026-01-31&end=2026-02-01&bucket=month&route=/x")
        == R"({"timezone":"UTC","start":"2026-01-31","end":"2026-02-01","bucket":"month",)"
           R"("routeFilter":"/x","rows":[]})");
}

TEST_CASE("answers: a day that a zone skipped is a day without anything") {
  counts_in_memory none{{}};
  auto dates_of = [&](const std::string& path, const std::string& list, const std::string& days) {
    const auto answer = json::parse(answer_text(none, path, days + "&timezone=Pacific/Apia"));
    std::string out;
    for (const auto& row : answer[list])
      out += row[path == "/stats/series" ? "bucket" : "date"].get<std::string>() + " ";
    return out;
  };
  for (auto [path, list] :
       {std::pair{"/stats/daily/dau", "rows"}, std::pair{"/stats/daily/http", "totals"},
        std::pair{"/stats/series", "rows"}}) {
    const std::string question = path;
    CAPTURE(question);
    CHECK(dates_of(path, list, "start=2011-12-30&end=2011-12-30") == "2011-12-30 ");
    CHECK(dates_of(path, list, "start=2011-12-29&end=2011-12-30") == "2011-12-29 2011-12-30 ");
    CHECK(dates_of(path, list, "start=2011-12-30&end=2011-12-31") == "2011-12-30 2011-12-31 ");
  }
  // Around it nothing is lost, and nothing counted twice.
  const auto last_moment = *parse_rfc3339("2011-12-30T09:59:59Z");
  std::vector<event> events{{.time_us = last_moment, .user_hash = "a"},
                            {.time_us = last_moment + 1'000'000, .user_hash = "b"}};
  counts_in_memory counts{events};
  CHECK(json::parse(answer_text(counts, "/stats/daily/dau",
                                "start=2011-12-29&end=2011-12-31&timezone=Pacific/Apia"))["rows"]
          .dump()
        == R"([{"date":"2011-12-29","activeUsers":1,"activeIps":0},)"
           R"({"date":"2011-12-30","activeUsers":0,"activeIps":0},)"
           R"({"date":"2011-12-31","activeUsers":1,"activeIps":0}])");
}

TEST_CASE("answers: JSON has room for as many rows of routes as a list, beside its totals") {
  std::vector<event> events;
  for (int day = 0; day < 250; ++day)
    for (int route = 0; route < 200; ++route)
      events.push_back({.time_us = (20'000 + day) * day_us,
                        .route = "/" + std::to_string(route),
                        .method = "GET"});
  counts_in_memory counts{events, 1};
  const auto days = "start=" + format_date(20'000) + "&end=" + format_date(20'249);
  auto answer = json::parse(answer_text(counts, "/stats/daily/http", days));
  CHECK(answer["routes"].size() == answer_list::most_rows);
  CHECK(answer["totals"].size() == 250);
  for (const auto* format : {"csv", "ndjson"})
    CHECK_THROWS_AS(
      answer_text(counts, "/stats/daily/http", days + "&format=" + std::string{format}),
      statistics::refused_question);
}

TEST_CASE("answers: what has too many rows is refused before the other days are counted") {
  std::vector<event> events;
  for (int day = 0; day < 10; ++day)
    for (int route = 0; route < 20'000; ++route)
      events.push_back({.time_us = (20'000 + day) * day_us,
                        .route = "/" + std::to_string(route),
                        .duration_us = 1});
  counts_in_memory counts{events, 0};
  const auto days = "start=" + format_date(20'000) + "&end=" + format_date(20'009);
  CHECK_THROWS_AS(answer_text(counts, "/stats/latency", days), statistics::refused_question);
  CHECK(counts.reads == 3 + 3); // ten days, five and two have too many groups; then one by one
  // Where only the first of each day are told nothing is refused.
  counts.reads = 0;
  auto http = json::parse(answer_text(counts, "/stats/daily/http", days + "&top=1"));
  CHECK(http["routes"].size() == 10);
  CHECK(http["totals"][9]["total"] == 20'000);
  CHECK(counts.reads == 3 + 10);
}

TEST_CASE("answers: a quantile is never beyond the shortest and the longest, whoever tells it") {
  for (size_t parts : {0, 1}) { // 0: not in cubes
    CAPTURE(parts);
    const std::vector<event> events{{.time_us = 20'000 * day_us, .duration_us = 12'500}};
    counts_in_memory counts{events, parts};
    const auto day = "start=" + format_date(20'000) + "&end=" + format_date(20'000);
    CHECK(
      json::parse(answer_text(counts, "/stats/summary", day + "&include=latency"))["latency"].dump()
      == R"({"sampleCount":1,"avgMs":12.5,"p50Ms":12.5,"p95Ms":12.5,"p99Ms":12.5,)"
         R"("maxMs":12.5})");
    CHECK(json::parse(answer_text(counts, "/stats/latency", day))["rows"][0]["p50Ms"] == 12.5);
  }
}

TEST_CASE("answers: one outlier ruins no quantile, and a rank is cut after all was merged") {
  constexpr int64_t noon = 20'000 * day_us + day_us / 2;
  std::vector<event> events;
  for (int i = 0; i < 1000; ++i)
    events.push_back(
      {.time_us = noon + i, .route = "/slow", .method = "GET", .duration_us = 10'000});
  events.back().duration_us = 3'600'000'000; // an hour
  // In each cube it is behind the other, and first in all of them.
  for (int i = 0; i < 40; ++i) {
    event e{.time_us = noon, .route = "/steady", .method = "GET", .status = 500};
    events.push_back(e);
    e.route = "/once" + std::to_string(i);
    events.push_back(e);
  }
  counts_in_memory counts{events, 40};
  const std::string day = "start=" + format_date(20'000) + "&end=" + format_date(20'000);
  auto latency = json::parse(answer_text(counts, "/stats/latency", day))["rows"][0];
  for (auto quantile : {"p50Ms", "p90Ms", "p95Ms", "p99Ms"})
    CHECK(std::abs(latency[quantile].get<double>() - 10) <= 0.1);
  CHECK(latency["maxMs"] == 3'600'000);
  auto http = json::parse(answer_text(counts, "/stats/daily/http", day + "&top=1"));
  REQUIRE(http["routes"].size() == 1);
  CHECK(http["routes"][0]["route"] == "/steady");
  CHECK(http["routes"][0]["serverErrors"] == 40);
  CHECK(http["totals"][0]["total"] == 1080);
}

TEST_CASE("answers: nothing before stats.start_at is counted") {
  constexpr int64_t noon = 20'000 * day_us + day_us / 2;
  const std::vector<event> events{
    {.time_us = noon - 1, .route = "/a", .user_hash = "early"},
    {.time_us = noon, .route = "/a", .duration_us = 5, .user_hash = "late"}};
  counts_in_memory counts{events};
  const std::string days = "start=" + format_date(19'999) + "&end=" + format_date(20'001);
  auto asked = [&](const char* path) { return json::parse(answer_text(counts, path, days, noon)); };
  auto dau = asked("/stats/daily/dau")["rows"];
  REQUIRE(dau.size() == 3);
  CHECK(dau[1]["activeUsers"] == 1);
  CHECK(asked("/stats/daily/http")["totals"][1]["total"] == 1);
  CHECK(asked("/stats/latency")["rows"][0]["count"] == 1);
}

TEST_CASE("answers: a list has an end") {
  answer_list rows{{"a", "b"}};
  CHECK(rows.as_json() == "[]");
  for (size_t i = 0; i < answer_list::most_rows; ++i)
    rows.add({"\"x", 1});
  CHECK(rows.as_json().starts_with(R"([{"a":"\"x","b":1},{"a":)"));
  CHECK_THROWS_WITH_AS(rows.add({"x", 1}),
                       "the answer would have more than 50000 rows; ask for a shorter range, for "
                       "longer buckets, or for less",
                       statistics::refused_question);
}

TEST_CASE("answers: the service's own requests are told only to who asks for them") {
  constexpr int64_t noon = 20'000 * day_us + day_us / 2;
  const std::string own{own_request_action};
  std::vector<event> events;
  for (int i = 0; i < 4; ++i)
    events.push_back({.time_us = noon,
                      .action = own,
                      .route = "/api/v1/events",
                      .method = "POST",
                      .status = 202,
                      .duration_us = 7000,
                      .address_hash = "a"});
  events.push_back({.time_us = noon, .feature = "f", .route = "/of/users", .status = 500});
  counts_in_memory counts{events, 2};
  const std::string day = "start=" + format_date(20'000) + "&end=" + format_date(20'000);
  auto asked = [&](const char* path, const std::string& more = "") {
    return json::parse(answer_text(counts, path, day + more));
  };
  for (const auto* users : {"", "&source=user"}) {
    CHECK(asked("/stats/daily", users).dump()
          == R"([{"date":"2024-10-04","feature":"f","route":"/of/users","method":null,"count":1,)"
             R"("errCount":1}])");
    CHECK(asked("/stats/summary", users)["eventsTotal"] == 1);
    CHECK(asked("/stats/summary", users)["features"].size() == 1);
    CHECK(asked("/stats/daily/http", users)["totals"][0]["total"] == 1);
    CHECK(asked("/stats/latency", users)["rows"].empty());
    CHECK(asked("/stats/series", users)["totals"]["events"] == 1);
  }
  const std::string phi = "&source=phi";
  CHECK(asked("/stats/daily", phi).dump()
        == R"([{"date":"2024-10-04","feature":null,"route":"/api/v1/events","method":"POST",)"
           R"("count":4,"errCount":0}])");
  auto summary = asked("/stats/summary", phi + "&include=all");
  CHECK(summary["eventsTotal"] == 4);
  CHECK(summary["features"].empty());
  CHECK(summary["routes"].dump() == R"([{"route":"/api/v1/events","count":4}])");
  CHECK(summary["latency"]["sampleCount"] == 4);
  CHECK(summary["firstEventAt"] == "2024-10-04T12:00:00Z");
  CHECK(asked("/stats/daily/http", phi)["totals"][0]["total"] == 4);
  CHECK(asked("/stats/latency", phi)["rows"][0]["count"] == 4);
  CHECK(asked("/stats/series", phi + "&by=route")["keys"].dump()
        == R"([{"key":"/api/v1/events","events":4,"errors":0}])");
  // Who its clients were it tells of no one but them.
  CHECK(asked("/stats/daily/dau")["rows"][0]["activeIps"] == 1);
}

TEST_CASE("answers: lists as CSV and NDJSON; nothing in them is a formula or breaks a line") {
  constexpr int64_t noon = 20'000 * day_us + day_us / 2;
  std::vector<event> events;
  for (const auto* route : {"/a,\"b\"", "=1+1", "@x\r\ny", "-2", "/plain"})
    events.push_back({.time_us = noon, .route = route, .status = 500, .duration_us = 1500});
  counts_in_memory counts{events};
  const std::string day = "start=" + format_date(20'000) + "&end=" + format_date(20'000);
  CHECK(answer_text(counts, "/stats/daily", day + "&format=csv")
        == "date,feature,route,method,count,errCount\r\n"
           "2024-10-04,,'-2,,1,1\r\n"
           "2024-10-04,,\"/a,\"\"b\"\"\",,1,1\r\n"
           "2024-10-04,,/plain,,1,1\r\n"
           "2024-10-04,,'=1+1,,1,1\r\n"
           "2024-10-04,,\"'@x\r\ny\",,1,1\r\n");
  CHECK(answer_text(counts, "/stats/daily", day + "&format=ndjson&route=-2")
        == R"({"date":"2024-10-04","feature":null,"route":"-2","method":null,"count":1,)"
           "\"errCount\":1}\n");
  CHECK(answer_text(counts, "/stats/daily/http", day + "&format=csv&route=/plain")
        == "date,route,method,total,errors,errorRate,clientErrors,serverErrors,clientErrorRate,"
           "serverErrorRate\r\n"
           "2024-10-04,,,1,1,1.0,0,1,0.0,1.0\r\n"
           "2024-10-04,/plain,,1,1,1.0,0,1,0.0,1.0\r\n");
  CHECK(answer_text(counts, "/stats/latency", day + "&format=csv&route=/plain")
        == "bucket,feature,route,method,count,minMs,avgMs,maxMs,p50Ms,p90Ms,p95Ms,p99Ms\r\n"
           "2024-10-04,,/plain,,1,1.5,1.5,1.5,1.5,1.5,1.5,1.5\r\n");
  CHECK(answer_text(counts, "/stats/daily/dau", day + "&format=ndjson")
        == "{\"date\":\"2024-10-04\",\"activeUsers\":0,\"activeIps\":0}\n");
  CHECK(answer_text(counts, "/stats/daily/features", day + "&format=csv")
        == "date,feature,count,uniqueUsers\r\n");
  CHECK(answer_text(counts, "/stats/series",
                    day
                      + "&format=csv&by=route&top=1&metrics=events,avg&route=/plain"
                        "&compare=previous")
        == "range,bucket,key,events,avgMs\r\n"
           "asked,2024-10-04,/plain,1,1.5\r\n"
           "compared,2024-10-03,/plain,0,\r\n");
}
