#include "protocol/text/rfc3339.hpp"
#include "server/api/event_reader.hpp"
#include "tests/support/doctest.hpp"

#include <nlohmann/json.hpp>

#include <string>

using namespace phi;
using namespace phi::api;

namespace {

constexpr int64_t now_us = 1'767'323'045'000'000;

event_limits limits() {
  return {.events = 100,
          .event_bytes = 1000,
          .text_bytes = 64,
          .extra_bytes = 200,
          .max_future_us = 300'000'000,
          .max_age_us = 86'400'000'000 * 30};
}

} // namespace

TEST_CASE("events: every field arrives") {
  event_reader reader{limits(), "salt"};
  auto read = reader.read_json(
    R"({"id":"1","source":"s","time":"2026-01-02T03:00:00.25Z","feature":"f","action":"a",
    "route":"/r","method":"GET","status":503,"durationMs":12.3456,"user":"ann",
    "userKind":"k","instance":"i",
    "extra":{"n":1,"t":"x\"y","l":[true,null]}})",
    now_us);
  REQUIRE(read.error == error_code::none);
  REQUIRE(read.rejected.empty());
  REQUIRE(read.events.size() == 1);
  const auto& e = read.events[0];
  CHECK(e.time_us == *parse_rfc3339("2026-01-02T03:00:00.25Z"));
  CHECK(e.feature == "f");
  CHECK(e.action == "a");
  CHECK(e.route == "/r");
  CHECK(e.method == "GET");
  CHECK(e.status == 503);
  CHECK(e.duration_us == 12'346);
  CHECK(e.user_hash.size() == 32);
  CHECK(e.user_hash.find("ann") == std::string::npos);
  CHECK(e.user_kind == "k");
  CHECK(e.instance == "i");
  CHECK(nlohmann::json::parse(e.extra)
        == nlohmann::json::parse(R"({"n":1,"t":"x\"y","l":[true,null]})"));
}

TEST_CASE("events: the identity depends on source and id, and is fresh without an id") {
  event_reader reader{limits(), ""};
  auto identity = [&](const char* text) {
    return reader.read_json(text, now_us).events.at(0).identity;
  };
  CHECK(identity(R"({"feature":"a","id":"1"})") == identity(R"({"feature":"b","id":"1"})"));
  CHECK(identity(R"({"feature":"a","id":"1"})") != identity(R"({"feature":"a","id":"2"})"));
  CHECK(identity(R"({"feature":"a","id":"bc","source":"a"})")
        != identity(R"({"feature":"a","id":"c","source":"ab"})"));
  CHECK(identity(R"({"feature":"a"})") != identity(R"({"feature":"a"})"));
  // What the sender has left out is known.
  auto read = reader.read_json(R"([{"feature":"a"},{"feature":"a","id":"1","time":null},)"
                               R"({"feature":"a","time":"2026-01-01T12:00:00Z"},)"
                               R"({"feature":"a","id":"","time":"2026-01-01T12:00:00Z"},)"
                               R"({"feature":"a","id":"1","time":"2026-01-01T12:00:00Z"}])",
                               now_us);
  std::string left_out;
  for (const auto& e : read.events)
    left_out += (e.no_id ? "id " : "- ") + std::string{e.no_time ? "time," : "-,"};
  CHECK(left_out == "id time,- time,id -,id -,- -,");
}

TEST_CASE("events: null is as good as leaving out, and time is now") {
  event_reader reader{limits(), ""};
  auto read = reader.read_json(
    R"({"feature":"a","route":null,"status":null,"time":null,"extra":null})", now_us);
  REQUIRE(read.events.size() == 1);
  CHECK(read.events[0].time_us == now_us);
  CHECK(read.events[0].status == 0);
  CHECK(read.events[0].duration_us == -1);
}

TEST_CASE("events: snake_case and typing errors get the name they meant") {
  event_reader reader{limits(), ""};
  auto message = [&](const std::string& text) {
    return reader.read_json(text, now_us).rejected.at(0).message;
  };
  CHECK(message(R"({"feature":"a","duration_ms":1})") == "did you mean durationMs?");
  CHECK(message(R"({"feature":"a","user_hash":"x"})") == "did you mean userHash?");
  CHECK(message(R"({"feature":"a","statsu":200})") == "did you mean status?");
  CHECK(message(R"({"feature":"a","favouriteColour":1})") == "put fields of your own into extra");
}

TEST_CASE("events: a field that is called otherwise elsewhere is known by what it means") {
  event_reader reader{limits(), ""};
  auto hint = [&](const std::string& name) {
    auto read = reader.read_json(R"({"feature":"a",")" + name + R"(":1})", now_us);
    return read.rejected.at(0).message;
  };
  for (const auto* time : {"timestamp", "ts", "@timestamp", "created_at"})
    CHECK(hint(time) == "did you mean time?");
  for (const auto* status : {"statusCode", "status_code", "httpStatus"})
    CHECK(hint(status) == "did you mean status?");
  for (const auto* route : {"path", "url", "URI"})
    CHECK(hint(route) == "did you mean route?");
  for (const auto* duration : {"duration", "latency_ms", "elapsed"})
    CHECK(hint(duration) == "did you mean durationMs, a number of milliseconds?");
  for (const auto* user : {"user_id", "userId", "username"})
    CHECK(hint(user) == "did you mean user?");
  CHECK(hint("ip").starts_with("an event has no address: the service knows those of its own"));
  CHECK(hint("events") == "send the array itself, without an object around it");
  CHECK(hint("specversion")
        == "is this a CloudEvent? Then send it as application/cloudevents+json");
  for (const auto* far : {"x", "ad", "is", "colour"}) // innocent, and near to nothing
    CHECK(hint(far) == "put fields of your own into extra");
  CHECK(hint(std::string(500, 'x')) == "put fields of your own into extra");
}

TEST_CASE("events: a whole number may be written with a point; a time as a number is translated") {
  event_reader reader{limits(), ""};
  CHECK(reader.read_json(R"({"feature":"a","status":200.0})", now_us).events.at(0).status == 200);
  CHECK(reader.read_json(R"({"feature":"a","status":200.5})", now_us).rejected.at(0).code
        == error_code::wrong_type);
  CHECK(reader.read_json(R"({"feature":"a","time":1700000000})", now_us).rejected.at(0).message
        == "expected a text: for this number \"2023-11-14T22:13:20Z\"");
}

TEST_CASE("events: faults are placed for a while, and then only named") {
  auto large = limits();
  large.event_bytes = 1 << 20;
  event_reader reader{large, ""};
  auto bad = "{\"a\":\"" + std::string(400'000, 'x') + "\",}\n";
  auto read = reader.read_ndjson(bad + bad + bad + "{,}\n" + bad, now_us);
  REQUIRE(read.rejected.size() == 5);
  CHECK(read.rejected[1].message == "the JSON is malformed, at line 1, column 400009: }");
  CHECK(read.rejected[2].message == "the JSON is malformed");
  CHECK(read.rejected[3].message == "the JSON is malformed, at line 1, column 2: ,}");
  CHECK(read.rejected[4].message == "the JSON is malformed");
}

TEST_CASE("events: lines sent as one value, and an array sent as lines, are told apart") {
  event_reader reader{limits(), ""};
  CHECK(reader.read_json("{\"feature\":\"a\"}\r\n{\"feature\":\"b\"}\r\n", now_us).detail
        == "these are several values, a line each: send them as application/x-ndjson");
  CHECK(reader.read_json("{\"feature\":\"a\"}\n\n", now_us).events.size() == 1);
  CHECK(reader.read_json("{\"feature\":\n\"a\"}{", now_us).detail
        == "the JSON is malformed, at line 2, column 5: {");
  for (const auto* array :
       {"[{\"feature\":\"a\"}]", "[\n{\"feature\":\"a\"},\n{\"feature\":\"b\"}\n]"})
    CHECK(reader.read_ndjson(array, now_us).detail
          == "an array of events is sent as application/json, not a line each");
  CHECK(reader.read_ndjson("[1]\n[2]", now_us).rejected.size() == 2);
  auto mixed = reader.read_ndjson("{\"feature\":\"a\"}\n[{\"feature\":\"b\"}]\n", now_us);
  CHECK(mixed.events.size() == 1);
  CHECK(mixed.rejected.at(0).message
        == "an array of events is sent as application/json, not a line each");
}

TEST_CASE("events: a reader that met a broken body reads the next one") {
  event_reader reader{limits(), ""};
  CHECK(reader.read_json("{\"feature\":", now_us).error == error_code::invalid_json);
  CHECK(reader.read_json("{\"feature\":\"a\"}", now_us).events.size() == 1);
  CHECK(reader.read_ndjson("{\n{\"feature\":\"a\"}\n", now_us).events.size() == 1);
  CHECK(reader.read_ndjson("{\"feature\":\"a\"}", now_us).events.size()
        == 1); // no newline at the end
  CHECK(reader.read_ndjson("{\"feature\":\"a\"}\r\n{\"feature\":\"b\"}\r\n", now_us).events.size()
        == 2);
}

TEST_CASE("events: a value of no use costs its event, and not the others of its array") {
  event_reader reader{limits(), ""};
  std::string deep = std::string(40, '[') + std::string(40, ']');
  for (const std::string& bad :
       {std::string{R"({"feature":"x","extra":{"n":1e999}})"},
        std::string{R"({"feature":"x\ud800"})"}, std::string{"{\"feature\":\"x\xff\"}"},
        std::string{R"({"feature":"x","durationMs":NaN})"},
        std::string{R"({"feature":"x","durationMs":-Infinity})"},
        std::string{"{\"feature\":\"x\x01\"}"}, R"({"feature":"x","extra":{"a":)" + deep + "}}"}) {
    INFO(bad);
    auto read = reader.read_json(
      R"( [ {"feature":"a,]"}, )" + bad + R"(,{"feature":"b\"["} , {"feature":"}c"}]  )", now_us);
    CHECK(read.error == error_code::none);
    REQUIRE(read.events.size() == 3);
    CHECK(read.events[0].feature == "a,]");
    CHECK(read.events[1].feature == "b\"[");
    CHECK(read.events[2].feature == "}c");
    REQUIRE(read.rejected.size() == 1);
    CHECK(read.rejected[0].index == 1);
    CHECK(read.rejected[0].code
          == (bad.find("[[[") == bad.npos ? error_code::invalid_json : error_code::too_deep));
    // What is no JSON at all is refused as a whole.
    for (auto end : {R"({"feature":"c"}])", " 1]", ",\"a\"\"b\"]", ",{]", ",]", "", "]]",
                     ",{\"feature\":\"c\",}]"}) {
      INFO(end);
      auto whole = reader.read_json("[" + bad + end, now_us);
      CHECK(whole.error != error_code::none);
      CHECK(whole.events.empty());
      CHECK(whole.rejected.empty());
    }
  }
  // An event is as large there as in an array that is read whole.
  auto blank =
    R"([{"feature":"big")" + std::string(2000, ' ') + R"(},{"feature":"b","extra":{"n":)";
  CHECK(reader.read_json(blank + "1}}]", now_us).events.size() == 2);
  CHECK(reader.read_json(blank + "1e999}}]", now_us).events.size() == 1);
  CHECK(reader.read_json(blank + "NaN}}]", now_us)
          .rejected.at(0)
          .message.starts_with(
            "JSON has no NaN and no Infinity; leave the field out, or send null, at line 1"));
  CHECK(reader.read_json(R"([{"feature":"NaN"},{"feature":"b",}])", now_us).error
        == error_code::invalid_json);
  auto many = "[1e999" + std::string(99, ',') + "]";
  CHECK(reader.read_json(many, now_us).error == error_code::invalid_json);
  std::string most = "[1e999";
  for (int i = 1; i < 100; ++i)
    most += R"(,{"feature":"a"})";
  CHECK(reader.read_json(most + "]", now_us).events.size() == 99);
  CHECK(reader.read_json(most + ",1]", now_us).error == error_code::too_many_events);
}

TEST_CASE("events: a mark of the byte order in front is no part of the text") {
  event_reader reader{limits(), ""};
  const std::string mark = "\xef\xbb\xbf";
  CHECK(reader.read_json(mark + R"({"feature":"a"})", now_us).events.size() == 1);
  CHECK(reader.read_ndjson(mark + "{\"feature\":\"a\"}\r\n", now_us).events.size() == 1);
  CHECK(reader.read_json(mark, now_us).error == error_code::empty_body);
}

TEST_CASE("events: a duration has a bound, which the refusal names") {
  event_reader reader{limits(), ""};
  auto read = [&](const std::string& ms) {
    return reader.read_json(R"({"feature":"a","durationMs":)" + ms + "}", now_us);
  };
  CHECK(read("604800000").events.at(0).duration_us == 604'800'000'000);
  for (const char* ms : {"604800001", "1e11", "9223372036854775807", "1e300", "-1", "-0.001"}) {
    INFO(ms);
    auto refused = read(ms).rejected;
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].code == error_code::out_of_range);
    CHECK(refused[0].pointer == "/durationMs");
    CHECK(refused[0].message == "expected 0 to 604800000 milliseconds (7 days)");
  }
}

TEST_CASE("events: a name of which nothing can be seen is none") {
  event_reader reader{limits(), ""};
  const std::string said = "the text is blank; give a name, or leave it out";
  for (const std::string blank :
       {" ", "\\t", "\\n\\r ", "\u00a0", "\u2003\u3000", "\u200b", "\ufeff"})
    for (const std::string name : {"feature", "route"}) {
      CAPTURE(blank);
      auto read = reader.read_json(R"([{"feature":"before"},{")" + name + R"(":")" + blank
                                     + R"("},{"feature":"behind"}])",
                                   now_us);
      CHECK(read.events.size() == 2);
      REQUIRE(read.rejected.size() == 1);
      CHECK(read.rejected[0].index == 1);
      CHECK(read.rejected[0].code == error_code::out_of_range);
      CHECK(read.rejected[0].pointer == "/" + name);
      CHECK(read.rejected[0].message == said);
    }
  auto beside = reader.read_json(R"({"feature":" ","route":"/r"})", now_us);
  REQUIRE(beside.rejected.size() == 1);
  CHECK(beside.rejected[0].pointer == "/feature");
  // What can be seen is kept as it is, and an empty text is as good as none.
  CHECK(reader.read_json(R"({"feature":" a\u00a0"})", now_us).events.at(0).feature == " a\u00a0");
  CHECK(reader.read_json(R"({"feature":"","route":"/r","action":" "})", now_us).events.at(0).action
        == " ");
  auto cloud =
    reader.read_cloud_event(R"({"specversion":"1.0","id":"1","source":"s","type":" "})", now_us);
  REQUIRE(cloud.rejected.size() == 1);
  CHECK(cloud.rejected[0].pointer == "/type");
  CHECK(cloud.rejected[0].message == said);
}

TEST_CASE("events: a time that is too far away is told the limit") {
  auto bounds = limits();
  bounds.start_at_us = now_us - 86'400'000'000;
  event_reader reader{bounds, ""};
  auto said = [&](const char* time) {
    auto read = reader.read_json(std::string{R"({"feature":"f","time":")"} + time + "\"}", now_us);
    REQUIRE(read.rejected.size() == 1);
    CHECK(read.rejected[0].pointer == "/time");
    CHECK(read.rejected[0].code == error_code::invalid_time);
    return read.rejected[0].message;
  };
  CHECK(said("2025-12-03T03:04:04Z") == "the time is more than 30 days ago (stats.max_age_days)");
  CHECK(said("2026-01-02T03:09:06Z")
        == "the time is more than 300 seconds ahead of our clock (stats.max_future_secs)");
  CHECK(said("2026-01-01T03:04:04Z") == "the time is before 2026-01-01T03:04:05Z (stats.start_at)");
}
