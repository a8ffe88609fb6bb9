// From a body to its events: which parameter, which type, which coding.

#include "server/http/ingest_body.hpp"
#include "tests/support/compressed.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::http;
using phi::testing::gzip;

namespace {

struct reading {
  read_ingest_body of(const ingest_body& body, size_t most = 1000) {
    return read_ingest(body, reader, most, 1'700'000'000'000'000);
  }
  error_code error(const ingest_body& body, size_t most = 1000) {
    return of(body, most).events.error;
  }

  config settings;
  api::event_reader reader{api::event_limits_of(settings), "salt"};
};

constexpr std::string_view one = R"({"feature":"a"})";

ingest_body json(std::string_view query) {
  return {.query_string = query, .content_type = "application/json", .text = one};
}

} // namespace

TEST_CASE("ingest body: atomic is the one parameter, once, and true or false") {
  reading at;
  CHECK_FALSE(at.of(json("")).atomic);
  CHECK(at.of(json("atomic=true")).atomic);
  CHECK_FALSE(at.of(json("atomic=false")).atomic);
  CHECK(at.error(json("atomic=false")) == error_code::none);
  struct {
    std::string_view query;
    std::string said; ///< the name of the parameter, and what is wrong with it
  } const rows[] = {
    {"atomic", "atomic: expected true or false"},
    {"atomic=", "atomic: expected true or false"},
    {"atomic=yes", "atomic: expected true or false"},
    {"atomic=TRUE", "atomic: expected true or false"},
    {"Atomic=true", "Atomic: unknown parameter; the only one here is atomic"},
    {"atomic=true&atomic=true", "atomic: the parameter is given twice"},
    {"atomic=true&a=b", "a: unknown parameter; the only one here is atomic"},
    {"a=b&atomic=yes", "a: unknown parameter; the only one here is atomic"},
    {"atomic=%zz", ": the query string holds a broken %-escape, or text that is not UTF-8"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.query);
    auto refused = at.of(json(row.query));
    CHECK(refused.events.error == error_code::invalid_query);
    REQUIRE(refused.wrong_parameters.size() == 1);
    const auto& wrong = refused.wrong_parameters[0];
    CHECK(wrong.pointer + ": " + wrong.message == row.said);
    CHECK(wrong.code == error_code::invalid_query);
    CHECK(refuse_ingest(json(row.query)).wrong_parameters.size() == 1);
    CHECK(refused.events.events.empty());
    CHECK_FALSE(refused.atomic);
  }
}

TEST_CASE("ingest body: its type says how it is read, in any case and with parameters") {
  reading at;
  std::string_view lines = "{\"feature\":\"a\"}\n{\"feature\":\"b\"}\n";
  for (const auto* type :
       {"application/x-ndjson", "application/ndjson", "Application/NDJSON",
        "application/x-ndjson; charset=utf-8", " application/ndjson\t;x", "application/jsonl",
        "application/x-jsonlines", "application/x-json-stream"}) {
    CAPTURE(type);
    auto read = at.of({.content_type = type, .text = lines});
    CHECK(read.events.error == error_code::none);
    CHECK(read.events.events.size() == 2);
    CHECK(read.events.events[0].time_us == 1'700'000'000'000'000);
  }
  CHECK(at.error({.content_type = "application/json", .text = lines}) == error_code::invalid_json);
  CHECK(at.of({.content_type = "APPLICATION/JSON;charset=utf-8", .text = one}).events.events.size()
        == 1);
  for (const auto* type : {"", "text/json", "application/jsonx", "application/json, text/plain",
                           "x; application/json"}) {
    CAPTURE(type);
    CHECK(at.error({.content_type = type, .text = one}) == error_code::unsupported_media_type);
  }
}

TEST_CASE("ingest body: what is coded is expanded, up to the bound and no further") {
  reading at;
  auto coded = [](std::string_view coding, std::string_view text) {
    return ingest_body{
      .content_type = "application/json", .content_encoding = coding, .text = text};
  };
  auto small = gzip(std::string{one});
  for (const auto* coding : {"gzip", "GZip", " x-gzip "}) {
    CAPTURE(coding);
    CHECK(at.of(coded(coding, small), one.size()).events.events.size() == 1);
    CHECK(at.error(coded(coding, small), one.size() - 1) == error_code::expanded_too_large);
  }
  CHECK(at.of(coded("zstd", phi::testing::zstd(std::string{one}))).events.events.size() == 1);
  // Nothing to expand: the bound is for what is coded.
  CHECK(at.of(coded("", one), 1).events.events.size() == 1);
  CHECK(at.of(coded("Identity", one), 1).events.events.size() == 1);
  CHECK(at.error(coded("br", one)) == error_code::unsupported_encoding);
  auto broken = at.of(coded("gzip", one));
  CHECK(broken.events.error == error_code::bad_encoding);
  CHECK_FALSE(broken.events.detail.empty());
}

TEST_CASE("ingest body: the parameter is looked at first, then the type, then the coding") {
  reading at;
  ingest_body wrong{
    .query_string = "a=b", .content_type = "x", .content_encoding = "br", .text = "{"};
  CHECK(at.error(wrong) == error_code::invalid_query);
  wrong.query_string = {};
  CHECK(at.error(wrong) == error_code::unsupported_media_type);
  wrong.content_type = "application/json";
  CHECK(at.error(wrong) == error_code::unsupported_encoding);
  wrong.content_encoding = {};
  CHECK(at.error(wrong) == error_code::invalid_json);
}

TEST_CASE("ingest body: a mode of CloudEvents is known by its type, or by a field of the header") {
  reading at;
  const std::vector<raw_cloud_attribute> header{
    {"Id", "1"}, {"specversion", "1.0"}, {"source", "%2Fs%20t"}, {"type", "\"a\\\"b\""}};
  auto binary = at.of({.content_type = "application/json", .text = "{\"n\":1}", .cloud = header});
  REQUIRE(binary.events.events.size() == 1);
  CHECK(binary.events.events[0].feature == "a\"b");
  auto structured = at.of({.content_type = "application/cloudevents+json",
                           .text = R"({"specversion":"1.0","id":"1","source":"/s t","type":"x"})",
                           .cloud = header}); // the type goes first
  CHECK(structured.events.events.at(0).identity == binary.events.events[0].identity);
  CHECK(structured.events.events.at(0).feature == "x");
  CHECK(at.of({.content_type = "text/plain", .text = "words", .cloud = header})
          .events.events.at(0)
          .extra
        == R"({"data":"words"})");
  CHECK(at.of({.cloud = header}).events.events.size() == 1); // no data
  CHECK(at.error({.content_type = "image/png", .text = "\x89PNG\xff", .cloud = header})
        == error_code::unsupported_media_type);
  CHECK(at.error({.content_type = "application/cloudevents+avro", .text = one, .cloud = header})
        == error_code::unsupported_media_type);
  const std::vector<raw_cloud_attribute> only_id{{"id", "1"}};
  CHECK(at.of({.content_type = "application/json", .text = one, .cloud = only_id})
          .events.rejected.at(0)
          .pointer
        == "ce-specversion");
  const std::vector<raw_cloud_attribute> of_a_proxy{{"ray", "7"}};
  CHECK(at.of({.content_type = "application/json", .text = one, .cloud = of_a_proxy})
          .events.events.at(0)
          .feature
        == "a");
  for (const auto* as_it_is : {"%zz", "%4", "100%"}) { // some senders encode nothing
    const std::vector<raw_cloud_attribute> fields{
      {"id", "1"}, {"specversion", "1.0"}, {"source", "s"}, {"type", as_it_is}};
    CHECK(at.of({.cloud = fields}).events.events.at(0).feature == as_it_is);
  }
  for (const auto* bad : {"%ff", "\xe4"}) {
    CAPTURE(bad);
    const std::vector<raw_cloud_attribute> broken{{"id", bad}};
    auto refused = at.of({.cloud = broken}).events;
    CHECK(refused.error == error_code::nothing_valid);
    CHECK(refused.detail == "ce-id holds text that is not UTF-8");
  }
}

TEST_CASE("ingest body: a refusal of the type says what came, and what is taken") {
  reading at;
  auto said = [&](std::string_view type) { return at.of({.content_type = type}).events.detail; };
  CHECK(said("application/x-www-form-urlencoded")
          .starts_with("Content-Type is application/x-www-form-urlencoded; send application/json"));
  CHECK(said("").starts_with("there is no Content-Type; send "));
  CHECK(at.of({.query_string = "access_token=x&atomic=true",
               .content_type = "application/json",
               .text = one})
          .atomic);
}
