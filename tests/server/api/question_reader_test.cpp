#include "server/api/question_reader.hpp"
#include "tests/support/doctest.hpp"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace phi;
using namespace phi::api;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

/// "end: what is wrong with it": the only complaint about a question, asked when it is the end of
/// 2026-03-01 in UTC.
std::string complaint_about(const char* path, const std::string& query_string) {
  CAPTURE(query_string);
  auto read =
    read_question(*find_question(path), query_string, {"UTC", 366, {}, 1'772'388'300'000'000});
  REQUIRE(read.errors.size() == 1);
  return read.errors[0].pointer + ": " + read.errors[0].message;
}

} // namespace

TEST_CASE("query strings: decoded, in order, broken escapes found") {
  auto list = parse_query_string("a=1&b=x%20y+z&c&=d&&e=%C3%A4");
  REQUIRE(list);
  CHECK(*list
        == std::vector<std::pair<std::string, std::string>>{
          {"a", "1"}, {"b", "x y z"}, {"c", ""}, {"", "d"}, {"e", "ä"}});
  CHECK_FALSE(parse_query_string("a=%4"));
  CHECK_FALSE(parse_query_string("a=%zz"));
}

TEST_CASE("questions: include takes all its separators, top is clamped") {
  question_defaults defaults{"UTC", 366};
  const auto& summary = *find_question("/stats/summary");
  const auto& daily = *find_question("/stats/daily");
  auto read =
    read_question(summary, "include=routes,latency;+unique_ips%09status&top=999", defaults);
  CHECK(read.errors.empty());
  const auto& asked = std::get<statistics_query>(read.query);
  CHECK(asked.path == "/stats/summary");
  for (auto word : {"routes", "latency", "unique_ips", "status"})
    CHECK(asked.parameters.has_word("include", word));
  CHECK_FALSE(asked.parameters.has_word("include", "methods"));
  CHECK(asked.parameters.number("top") == 200);
  CHECK(asked.parameters.text("timezone") == "UTC");
  auto all = read_question(summary, "include=all", defaults);
  CHECK(std::get<statistics_query>(all.query).parameters.has_word("include", "user_kinds"));
  auto leap =
    read_question(daily, "start=2024-01-01&end=2024-12-31&timezone=Asia/Kathmandu", defaults);
  CHECK(leap.errors.empty());
  CHECK(std::get<statistics_query>(leap.query).parameters.day("start") == 19'723);
}

TEST_CASE("questions: a shortcut offers the metrics that say something with it, and no others") {
  const std::string all =
    "events errors error_rate users addresses avg min max p50 p90 p95 p99 p999";
  for (const auto& shortcut : endpoint_shortcuts) {
    CAPTURE(shortcut.command);
    const std::string parameters{shortcut.parameters};
    const auto asked =
      "start=2024-01-01&end=2024-01-01&" + std::string{shortcut.fixed} + "&" + parameters;
    CHECK(read_question(*find_question(shortcut.path), asked, {"UTC", 366}).errors.empty());
    auto is_told = [&](const std::string& metrics) {
      // Of errors alone each is one: their number is that of the events, and their share is 1.
      if (has(parameters, "class=4xx,5xx") && metrics.starts_with("error"))
        return false;
      return read_question(*find_question(shortcut.path),
                           asked.substr(0, asked.find("metrics=")) + "metrics=" + metrics,
                           {"UTC", 366})
        .errors.empty();
    };
    std::string told;
    std::istringstream words{all};
    for (std::string metric; words >> metric;)
      if (is_told(metric))
        told += (told.empty() ? "" : " ") + metric;
    CHECK(shortcut.metrics == told);
  }
}

TEST_CASE("questions: what is wrong is said of each parameter") {
  question_defaults defaults{"UTC", 366};
  auto message = [&](const char* path, const char* query_string) {
    auto read = read_question(*find_question(path), query_string, defaults);
    REQUIRE(read.errors.size() == 1);
    return read.errors[0].pointer + ": " + read.errors[0].message;
  };
  const std::string range = "start=2024-01-01&end=2024-01-01";
  CHECK(message("/stats/daily", (range + "&timezone=Europe/Belrin").c_str())
        == "timezone: unknown time zone; did you mean Europe/Berlin?");
  CHECK(message("/stats/summary", "timezone=")
        == "timezone: the time zone is empty; give a name such as Europe/Berlin");
  CHECK(message("/stats/daily", (range + "&top=3").c_str()).starts_with("top: unknown parameter"));
  CHECK(message("/stats/daily", "start=2024-01-01")
        == "end: the parameter is required: a date such as 2026-01-31");
  CHECK(message("/stats/daily", "start=2024-01-01&end=2025-01-01")
        == "end: the range may have up to 366 days");
  CHECK(message("/stats/daily", "start=2024-01-02&end=2024-01-01")
        == "end: end must not be before start");
  CHECK(message("/stats/summary", "top=0") == "top: expected a whole number from 1 to 200");
  CHECK(message("/stats/summary", "top=1&top=2") == "top: the parameter is given twice");
  CHECK(message("/cluster", "top=1") == "top: unknown parameter; there is none here");
  CHECK(message("/stats/summary", ("feature=" + std::string(1025, 'f')).c_str())
        == "feature: the text may have up to 1024 bytes");
  CHECK(message("/stats/summary", "feature=a%00b")
        == "feature: the text may not hold the character NUL");
  auto longest =
    read_question(*find_question("/stats/summary"), "feature=" + std::string(1024, 'f'), defaults);
  CHECK(std::get<statistics_query>(longest.query).parameters.text("feature")->size() == 1024);
  CHECK(find_question("/events") == nullptr);
  CHECK(find_question("/health") == nullptr);
}

TEST_CASE("questions: of many wrong parameters the first are named, and the answer stays short") {
  std::string query = "start=2026-01-01&end=2026-01-02";
  for (int i = 0; i < 2000; ++i)
    query += "&zz" + std::to_string(i);
  auto read = read_question(*find_question("/stats/daily"), query, {"UTC", 366});
  REQUIRE(read.errors.size() == 17);
  CHECK(read.errors[0].pointer == "zz0");
  CHECK(read.errors[15].pointer == "zz15");
  CHECK(read.errors[16].message == "and more; the first 16 are named");
  std::string words = "include=a";
  for (int i = 0; i < 4000; ++i)
    words += ",b";
  for (const auto& sent : {words, words + "&zz=1&yy=2"}) {
    auto many = read_question(*find_question("/stats/summary"), sent, {"UTC", 366});
    REQUIRE(many.errors.size() == 17);
    CHECK(many.errors[15].pointer == "include");
    CHECK(many.errors[16].pointer.empty());
  }
}

TEST_CASE("questions: days and times before now are those of the question's zone") {
  // 2026-03-01T23:50 in Kathmandu, and in the afternoon before in UTC.
  question_defaults defaults{"UTC", 366, "json", 1'772'388'300'000'000};
  auto days = [&](const std::string& query) {
    auto read = read_question(*find_question("/stats/daily"), query, defaults);
    REQUIRE(read.errors.empty());
    const auto& parameters = std::get<statistics_query>(read.query).parameters;
    return std::pair{*parameters.day("start"), *parameters.day("end")};
  };
  constexpr int32_t first_of_march = 20'513;
  CHECK(days("start=yesterday&end=today") == std::pair{first_of_march - 1, first_of_march});
  CHECK(days("start=-6d&end=-0d&timezone=Asia/Kathmandu")
        == std::pair{first_of_march - 6, first_of_march});
  CHECK(days("start=today&end=today&timezone=Asia/Tokyo")
        == std::pair{first_of_march + 1, first_of_march + 1});
  auto read = read_question(*find_question("/stats/series"),
                            "start=-24h&end=now&feature=a&feature=b", defaults);
  REQUIRE(read.errors.empty());
  const auto& parameters = std::get<statistics_query>(read.query).parameters;
  constexpr int64_t quarter = 1'772'388'900'000'000; // it ends at 18:15 UTC
  CHECK(parameters.time("end") == moment{.day = {}, .time_us = quarter});
  CHECK(parameters.time("start") == moment{.day = {}, .time_us = quarter - 86'400'000'000});
  CHECK(parameters.texts("feature") == std::vector<std::string>{"a", "b"});
  for (std::string wrong : {"-d", "-1", "1d", "--1d", "-100000d", "-24h", "now", "tomorrow"}) {
    CAPTURE(wrong);
    auto refused =
      read_question(*find_question("/stats/daily"), "start=" + wrong + "&end=today", defaults);
    REQUIRE(refused.errors.size() == 1);
    CHECK(refused.errors[0].message
          == "expected a date such as 2026-01-31, today, yesterday, or -6d");
  }
  auto uneven = read_question(*find_question("/stats/series"),
                              "start=2026-01-01T00:07:00Z&end=today", defaults);
  REQUIRE(uneven.errors.size() == 1);
  CHECK(uneven.errors[0].message
        == "the time must be at a quarter of an hour, as everything is counted by");
  auto long_range = [&](const std::string& query) {
    return read_question(*find_question("/stats/series"), query, defaults).errors;
  };
  CHECK(long_range("start=2024-01-01&end=2024-12-31").empty());
  CHECK(long_range("start=2024-01-01T00:00:00Z&end=2025-01-01T00:00:00Z").empty());
  CHECK(long_range("start=2024-01-01&end=2025-01-01")[0].message
        == "the range may have up to 366 days");
  CHECK(long_range("start=2024-01-02&end=2024-01-01")[0].message == "end must not be before start");
  CHECK(long_range("start=2024-01-02T00:15:00Z&end=2024-01-02T00:00:00Z")[0].message
        == "end must not be before start");
  for (const auto* nothing : {"start=2024-01-02&end=2024-01-02T00:00:00Z", "start=now&end=now"})
    CHECK(long_range(nothing)[0].message
          == "there is nothing between start and end: a time as end is not in the range");
}

TEST_CASE("questions: an empty choice is refused, for all is meant by leaving it out") {
  const std::string range = "start=2024-01-01&end=2024-01-01";
  size_t texts = 0;
  for (const auto& endpoint : endpoints)
    for (const auto& row : endpoint.parameters) {
      if (row.type != parameter_type::text)
        continue;
      ++texts;
      std::string name{row.name};
      auto query = (endpoint.path == "/stats/summary" ? "" : range + "&") + name + "=";
      CHECK(complaint_about(endpoint.path.data(), query)
            == name + ": the text is empty; leave it out to mean all");
    }
  CHECK(texts == 17);
  CHECK(complaint_about("/stats/series", range + "&feature=a&feature=")
        == "feature: the text is empty; leave it out to mean all");
  CHECK(complaint_about("/stats/series", range + "&class=")
        == "class: the list is empty; leave it out, or name some of 1xx, 2xx, 3xx, 4xx, 5xx");
  CHECK(complaint_about("/stats/series", range + "&metrics=,")
          .starts_with("metrics: the list is empty; leave it out, or name some of events, "));
  auto nothing_more = read_question(*find_question("/stats/summary"), "include=", {"UTC", 366});
  CHECK(nothing_more.errors.empty());
  CHECK(std::get<statistics_query>(nothing_more.query).parameters.words("include").empty());
}

TEST_CASE("questions: of a day or a time is said what is wrong with this one") {
  struct {
    std::string given;
    std::string said;
  } const times[] = {
    {"2026-02-30", "there is no 2026-02-30 in the calendar"},
    {"2026-02-30T00:00:00Z", "there is no 2026-02-30 in the calendar"},
    {"2026-01-31T18:45:00", "the zone is missing: add Z for UTC, or an offset such as +01:00"},
    {"2026-01-31T18:45Z", "the seconds are missing, as in 2026-01-31T12:00:00Z"},
    {"2026-01-31T18:45:00+01:00", "in a query string + stands for a space: write "
                                  "2026-01-31T18:45:00%2B01:00"},
    {"soon", "expected a date such as 2026-01-31, a time such as 2026-01-31T18:45:00Z, today, "
             "yesterday, now, -6d, or -24h"},
  };
  for (const auto& row : times)
    CHECK(complaint_about("/stats/series", "start=" + row.given + "&end=today")
          == "start: " + row.said);
  CHECK(complaint_about("/stats/daily", "start=2026-02-30&end=today")
        == "start: there is no 2026-02-30 in the calendar");
  CHECK(complaint_about("/stats/daily", "start=2026-02-28T00:00:00Z&end=today")
        == "start: only whole days are asked for here: write 2026-02-28");
  CHECK(complaint_about("/stats/daily", "start=2026-1-1&end=today")
        == "start: expected a date such as 2026-01-31, today, yesterday, or -6d");
}

TEST_CASE("questions: a range to compare with is said in the same words as the range itself") {
  auto compared = [](const std::string& text) {
    auto read =
      read_question(*find_question("/stats/series"), "start=today&end=today&compare=" + text,
                    {"UTC", 366, {}, 1'772'388'300'000'000});
    REQUIRE(read.errors.empty());
    return *std::get<statistics_query>(read.query).parameters.range("compare");
  };
  constexpr int32_t first_of_march = 20'513;
  CHECK(compared("previous") == range_to_compare{});
  CHECK(compared("yesterday..yesterday")
        == range_to_compare{moment{.day = first_of_march - 1}, moment{.day = first_of_march - 1}});
  CHECK(compared("-7d..2026-02-23")
        == range_to_compare{moment{.day = first_of_march - 7}, moment{.day = first_of_march - 6}});
  constexpr int64_t quarter = 1'772'388'900'000'000; // it ends at 18:15 UTC
  CHECK(compared("-24h..now")
        == range_to_compare{moment{.day = {}, .time_us = quarter - 86'400'000'000},
                            moment{.day = {}, .time_us = quarter}});
  auto said = [](const std::string& text) {
    return complaint_about("/stats/series", "start=today&end=today&compare=" + text);
  };
  CHECK(said("2026-02-30..today") == "compare: its start: there is no 2026-02-30 in the calendar");
  CHECK(said("today..2026-01-31T00:00:00")
        == "compare: its end: the zone is missing: add Z for UTC, or an offset such as +01:00");
  CHECK(said("today..yesterday") == "compare: end must not be before start");
  CHECK(said("now..now")
        == "compare: there is nothing between start and end: a time as end is not in the range");
}

TEST_CASE("questions: a number that no 64 bits hold is no number of rows") {
  question_defaults defaults{"UTC", 366};
  const auto& summary = *find_question("/stats/summary");
  for (const std::string top :
       {"9223372036854775808", "18446744073709551616", "99999999999999999999999", "1e30", "20.5",
        "-1", "0", "", "+5", " 5", "-9223372036854775809"}) {
    CAPTURE(top);
    auto read = read_question(summary, "top=" + top, defaults);
    REQUIRE(read.errors.size() == 1);
    CHECK(read.errors[0].pointer == "top");
    CHECK(read.errors[0].message == "expected a whole number from 1 to 200");
  }
  auto most = read_question(summary, "top=9223372036854775807", defaults);
  CHECK(std::get<statistics_query>(most.query).parameters.number("top") == 200);
}
