// CloudEvents 1.0 become events, whatever way they come, and bad ones are told by their attribute.

#include "protocol/text/rfc3339.hpp"
#include "server/api/event_reader.hpp"
#include "tests/support/doctest.hpp"

#include <string>
#include <utility>
#include <vector>

using namespace phi;
using namespace phi::api;

namespace {

constexpr int64_t now_us = 1'767'323'045'000'000; // 2026-01-02T03:04:05Z

struct reading {
  read_events structured(const std::string& body) { return reader.read_cloud_event(body, now_us); }
  read_events binary(const std::vector<cloud_attribute>& attributes, const std::string& data,
                     cloud_data kind = cloud_data::json) {
    return reader.read_cloud_event(attributes, kind, data, now_us);
  }
  /// The one event of a CloudEvent whose members are these beside the required ones.
  event with(const std::string& members) {
    auto read =
      structured(R"({"specversion":"1.0","id":"1","source":"/s","type":"t")" + members + "}");
    INFO(members);
    REQUIRE(read.rejected.empty());
    REQUIRE(read.events.size() == 1);
    return read.events[0];
  }
  /// Code, pointer and message of the refusal of such a one.
  std::string refusal(const std::string& members) {
    return why(
      structured(R"({"specversion":"1.0","id":"1","source":"/s","type":"t")" + members + "}"));
  }
  static std::string why(const read_events& read) {
    CHECK(read.events.empty());
    REQUIRE(read.rejected.size() == 1);
    const auto& row = read.rejected[0];
    return std::string{to_string(row.code)} + " " + row.pointer + ": " + row.message;
  }

  event_reader reader{{.events = 3,
                       .event_bytes = 1000,
                       .text_bytes = 64,
                       .extra_bytes = 200,
                       .max_future_us = 300'000'000,
                       .max_age_us = 86'400'000'000 * 30},
                      "salt"};
};

const std::vector<cloud_attribute> required{
  {"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}};

} // namespace

TEST_CASE("cloud events: type is the feature, time the time, source and id the identity") {
  reading at;
  auto plain = at.with("");
  CHECK(plain.feature == "t");
  CHECK(plain.action.empty());
  CHECK(plain.time_us == now_us);
  CHECK(plain.extra.empty());
  CHECK(at.with(R"(,"time":"2026-01-02T03:00:00.5Z")").time_us
        == *parse_rfc3339("2026-01-02T03:00:00.5Z"));
  auto ours = at.reader.read_json(R"({"feature":"x","id":"1","source":"/s"})", now_us);
  CHECK(plain.identity == ours.events.at(0).identity);
  CHECK(at.binary(required, "").events.at(0).identity == plain.identity);
  auto other = at.structured(R"({"specversion":"1.0","id":"1","source":"/r","type":"t"})");
  CHECK(other.events.at(0).identity != plain.identity);
}

TEST_CASE("cloud events: members of data are fields of ours, the others and the subject are kept") {
  reading at;
  auto all = at.with(R"(,"data":{"route":"/r","method":"GET","status":503,"durationMs":1.5,
    "user":"ann","userKind":"k","instance":"i","order":{"n":[1,"x\"y"]},"id":7,"time":"noon"},
    "subject":"ord\"er","traceparent":"00-1","sampled":true,"partition":3,
    "datacontenttype":"application/json","dataschema":"urn:x")");
  CHECK(all.feature == "t");
  CHECK(all.route == "/r");
  CHECK(all.method == "GET");
  CHECK(all.status == 503);
  CHECK(all.duration_us == 1500);
  CHECK(all.user_hash.size() == 32);
  CHECK(all.user_kind == "k");
  CHECK(all.instance == "i");
  CHECK(all.time_us == now_us); // the attribute's, and not that of the data
  CHECK(all.extra == R"({"order":{"n":[1,"x\"y"]},"id":7,"time":"noon","subject":"ord\"er"})");
  auto named = at.with(R"(,"data":{"feature":"shop"})");
  CHECK(named.feature == "shop");
  CHECK(named.action == "t");
  CHECK(at.with(R"(,"data":{"feature":"shop","action":"buy"})").action == "buy");
  CHECK(at.with(R"(,"data":{"feature":null,"status":null})").feature == "t");
  CHECK(at.with(R"(,"data":{"subject":"mine"},"subject":"theirs")").extra
        == R"({"subject":"mine"})");
  CHECK(at.with(R"(,"data":{"status":200,"extra":{"a":1}},"subject":"s")").extra == R"({"a":1})");
  CHECK(at.with(R"(,"data":[1,{"a":2}])").extra == R"({"data":[1,{"a":2}]})");
  CHECK(at.with(R"(,"data":"words","datacontenttype":"text/plain")").extra
        == R"({"data":"words"})");
  CHECK(at.with(R"(,"data_base64":"AAEC")").extra == R"({"data_base64":"AAEC"})");
  CHECK(at.with(R"(,"data":null)").extra.empty());
}

TEST_CASE("cloud events: what is wrong is told by the name of the attribute") {
  reading at;
  auto lacks = [&](const std::string& body) { return reading::why(at.structured(body)); };
  CHECK(lacks(R"({"id":"1","source":"s","type":"t"})")
        == "missing_field /specversion: a CloudEvent needs the attribute specversion");
  CHECK(lacks(R"({"specversion":"1.0","source":"s","type":"t"})")
        == "missing_field /id: a CloudEvent needs the attribute id");
  CHECK(lacks(R"({"specversion":"1.0","id":"1","type":"t","source":null})")
        == "missing_field /source: a CloudEvent needs the attribute source");
  CHECK(lacks(R"({"specversion":"1.0","id":"1","source":"s"})")
        == "missing_field /type: a CloudEvent needs the attribute type");
  CHECK(lacks(R"({"specversion":"0.3","id":"1","source":"s","type":"t"})")
        == "out_of_range /specversion: expected 1.0, the version of CloudEvents that is "
           "understood here");
  CHECK(lacks(R"({"specversion":"1.0","id":"","source":"s","type":"t"})")
        == "missing_field /id: the attribute id of a CloudEvent must not be empty");
  CHECK(lacks(R"({"specversion":"1.0","id":1,"source":"s","type":"t"})")
        == "wrong_type /id: expected a text");
  CHECK(lacks("7").starts_with("not_an_object : a CloudEvent is a JSON object"));
  CHECK(at.refusal(R"(,"id":"2")") == "duplicate_field /id: the attribute is given twice");
  CHECK(at.refusal(R"(,"time":"2026-01-02")").starts_with("invalid_time /time: the time of day"));
  CHECK(at.refusal(R"(,"eventType":"x")").starts_with("unknown_field /eventType: the names of a"));
  CHECK(at.refusal(R"(,"trace":{"a":1})").starts_with("wrong_type /trace: an attribute is a text"));
  CHECK(at.refusal(R"(,"data":{"status":"paid"})")
        == "wrong_type /data/status: expected a whole number from 100 to 599");
  CHECK(at.refusal(R"(,"data":{"extra":{},"ts":1})")
        == "unknown_field /data/ts: did you mean time?");
  CHECK(at.refusal(R"(,"data":1,"data_base64":"AA")")
        == "duplicate_field /data_base64: give data or data_base64, not both");
  for (const auto* nul : {R"(,"data":{"a":["\u0000"]})", R"(,"data":["\u0000"])",
                          R"(,"data_base64":"\u0000")", R"(,"subject":"\u0000")"}) {
    CAPTURE(nul);
    CHECK(at.refusal(nul).starts_with("forbidden_character /"));
  }
  CHECK(at.refusal(R"(,"data":{"a":")" + std::string(300, 'x') + "\"}")
        == "too_long /data: expected at most 200 bytes (stats.max_extra_bytes)");
  CHECK(at.refusal(R"(,"data":{"a":")" + std::string(1000, 'x') + "\"}")
        == "event_too_large : an event may have up to 1000 bytes (stats.max_event_bytes)");
}

TEST_CASE("cloud events: a batch is an array, with an index for what is wrong, and may be empty") {
  reading at;
  auto batch = [&](const std::string& body) { return at.reader.read_cloud_batch(body, now_us); };
  auto one = [](const std::string& id) {
    return R"({"specversion":"1.0","id":")" + id + R"(","source":"s","type":"t"})";
  };
  auto mixed = batch("[" + one("1") + R"(,{"specversion":"1.0"},)" + one("3") + "]");
  CHECK(mixed.events.size() == 2);
  REQUIRE(mixed.rejected.size() == 1);
  CHECK(mixed.rejected[0].index == 1);
  CHECK(mixed.rejected[0].pointer == "/id");
  auto empty = batch("[]");
  CHECK(empty.error == error_code::none);
  CHECK(empty.events.empty());
  CHECK(empty.rejected.empty());
  CHECK(batch("[" + one("1") + "," + one("2") + "," + one("3") + "," + one("4") + "]").error
        == error_code::too_many_events);
  CHECK(batch(one("1")).detail
        == "a batch is an array; one CloudEvent is sent as application/cloudevents+json");
  CHECK(at.structured("[" + one("1") + "]").detail
        == "several CloudEvents are sent as application/cloudevents-batch+json");
  auto half = batch("[" + one("1") + R"(,{"id":"\ud800"}])");
  CHECK(half.events.size() == 1);
  CHECK(half.rejected.at(0).index == 1);
}

TEST_CASE("cloud events: in binary mode attributes are header fields, and the body is the data") {
  reading at;
  auto json = at.binary(required, R"({"status":200,"n":1})").events.at(0);
  CHECK(json.feature == "t");
  CHECK(json.status == 200);
  CHECK(json.extra == R"({"n":1})");
  CHECK(at.binary(required, "a \"text\"", cloud_data::text).events.at(0).extra
        == R"({"data":"a \"text\""})");
  CHECK(at.binary(required, " ").events.at(0).extra.empty());
  CHECK(at.binary(required, "{").error == error_code::invalid_json);
  auto lacks = required;
  lacks.pop_back();
  CHECK(reading::why(at.binary(lacks, ""))
        == "missing_field ce-type: a CloudEvent needs the attribute type");
  auto twice = required;
  twice.push_back({"id", "2"});
  CHECK(reading::why(at.binary(twice, ""))
        == "duplicate_field ce-id: the attribute is given twice");
  auto more = required;
  more.push_back({"traceparent", "00-1"});
  more.push_back({"time", "noon"});
  CHECK(reading::why(at.binary(more, ""))
        == "invalid_time ce-time: expected an RFC 3339 time, as in 2026-01-31T12:00:00Z");
  CHECK(reading::why(at.binary(required, std::string("\0", 1), cloud_data::text))
          .starts_with("forbidden_character /data: "));
}

TEST_CASE("cloud events: all modes know the same names, and a mark before the data is none of it") {
  reading at;
  const std::string rule = "the names of a CloudEvent's attributes have small letters and digits; "
                           "what is your own goes into data";
  auto more = required;
  more.push_back({"event_type", "x"});
  CHECK(reading::why(at.binary(more, "")) == "unknown_field ce-event_type: " + rule);
  CHECK(at.refusal(R"(,"event_type":"x")") == "unknown_field /event_type: " + rule);
  more.back() = {"eventtype", "x"};
  CHECK(at.binary(more, "").events.size() == 1);
  CHECK(at.binary(required, "\xef\xbb\xbf{\"status\":204}").events.at(0).status == 204);
  CHECK(at.binary(required, "\xef\xbb\xbf").events.at(0).extra.empty());
}

TEST_CASE("cloud events: nothing is dropped in silence") {
  reading at;
  CHECK(at.with(R"(,"data":{"extra":null,"n":1},"subject":"s")").extra
        == R"({"n":1,"subject":"s"})");
  CHECK(at.with(R"(,"data":{"feature":"shop","action":"buy"},"subject":"s")").extra
        == R"({"type":"t","subject":"s"})");
  CHECK(at.with(R"(,"data":{"feature":"shop","action":"buy","type":"mine"})").extra
        == R"({"type":"mine"})");
  CHECK(at.with(R"(,"data":{"feature":"shop","action":"buy","extra":{"a":1}})").extra
        == R"({"a":1})");
  CHECK(at.with(R"(,"data":{"feature":"shop"})").extra.empty());
  CHECK(at.refusal(R"(,"data_base64":"AA","data_base64":"AB")")
        == "duplicate_field /data_base64: the member is given twice");
}
