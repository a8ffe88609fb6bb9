// What is said of a text that is no JSON, no time, no time zone.

#include "server/api/json_trouble.hpp"
#include "server/api/question_reader.hpp"
#include "server/api/time_trouble.hpp"
#include "server/api/zone_trouble.hpp"
#include "tests/support/doctest.hpp"

#include <string>

using namespace phi;
using namespace phi::api;

namespace {

/// What a body gets to hear that is no JSON.
std::string said_of(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  auto padded = simdjson::padded_string(text);
  auto code = parser.parse(padded).get(root);
  REQUIRE(code != simdjson::SUCCESS);
  return what_is_wrong(code, text);
}

} // namespace

TEST_CASE("trouble with JSON: the line, the column and what stands there") {
  CHECK(said_of(R"({"feature":"a",})") == "the JSON is malformed, at line 1, column 16: }");
  CHECK(said_of(R"({"feature":"a" "b":1})")
        == "the JSON is malformed, at line 1, column 16: \"b\":1}");
  CHECK(said_of("{\n  \"feature\": \"a\"\n  \"status\": 200\n}")
        == "the JSON is malformed, at line 3, column 3: \"status\": 200");
  CHECK(said_of("{'feature':'a'}") == "the JSON is malformed, at line 1, column 2: 'feature':'a'}");
  CHECK(said_of(R"({"ä":1,"b":nul})") == "the JSON is malformed, at line 1, column 12: nul}");
  CHECK(said_of(R"({"a":1} {"b":2})") == "the JSON is malformed, at line 1, column 9: {\"b\":2}");
  CHECK(said_of(R"({"feature":"a")") == "the JSON is malformed: it ends too early, after 14 bytes");
  CHECK(said_of(R"({"feature":"abc)") == "a string is not closed, at line 1, column 12: \"abc");
  CHECK(said_of(R"({"a":1e999})")
        == "a number is malformed or too large, at line 1, column 6: 1e999}");
  CHECK(said_of(R"({"a":NaN})")
        == "JSON has no NaN and no Infinity; leave the field out, or send null, at line 1, column "
           "6: NaN}");
  CHECK(said_of(R"({"a":"x\ud800"})")
        == "a string holds a bad escape or half a surrogate pair, at line 1, column 6: "
           "\"x\\ud800\"}");
  CHECK(said_of(R"({"a":"unexpected end of input)")
        == "a string is not closed, at line 1, column 6: \"unexpected end of i...");
  CHECK(said_of("{'" + std::string(100, 'x'))
        == "the JSON is malformed, at line 1, column 2: '" + std::string(19, 'x') + "...");
  CHECK(said_of(std::string("\xff\xfe{\0", 4)) == "the body is UTF-16; JSON is sent as UTF-8");
}

TEST_CASE("trouble with a time: each has its own sentence") {
  struct {
    std::string text;
    std::string said;
  } const rows[] = {
    {"", "the time is empty; leave it out, or give one, as in 2026-01-31T12:00:00Z"},
    {"yesterday", "expected an RFC 3339 time, as in 2026-01-31T12:00:00Z"},
    {"31.01.2026", "expected an RFC 3339 time, as in 2026-01-31T12:00:00Z"},
    {"2026-02-29T00:00:00Z", "there is no 2026-02-29 in the calendar"},
    {"2026-13-01T00:00:00Z", "there is no 2026-13-01 in the calendar"},
    {"2026-01-31", "the time of day is missing behind the date, as in 2026-01-31T12:00:00Z"},
    {"2026-01-31_12:00:00Z",
     "there must be a T between date and time of day, as in 2026-01-31T12:00:00Z"},
    {"2026-01-31T12:00Z", "the seconds are missing, as in 2026-01-31T12:00:00Z"},
    {"2026-01-31T12:00", "the seconds are missing, as in 2026-01-31T12:00:00Z"},
    {"2026-01-31T1:00:00Z",
     "the time of day has two digits each for hour, minute and second, as in "
     "2026-01-31T12:00:00Z"},
    {"2026-01-31T24:00:00Z", "there is no 24:00:00 in a day"},
    {"2026-01-31T12:00:61Z", "there is no 12:00:61 in a day"},
    {"2026-01-31T12:00:00", "the zone is missing: add Z for UTC, or an offset such as +01:00"},
    {"2026-01-31T12:00:00.123", "the zone is missing: add Z for UTC, or an offset such as +01:00"},
    {"2026-01-31T12:00:00,5Z", "the fraction of a second begins with a point, not with a comma"},
    {"2026-01-31T12:00:00.Z", "digits are missing behind the point"},
    {"2026-01-31T12:00:00+0000", "an offset has hours, a colon and minutes: write +00:00"},
    {"2026-01-31T12:00:00.5-0530", "an offset has hours, a colon and minutes: write -05:30"},
    {"2026-01-31T12:00:00+01", "an offset has hours, a colon and minutes: write +01:00"},
    {"2026-01-31T12:00:00 UTC", "the zone must be Z for UTC, or an offset such as +01:00"},
    {"2026-01-31T12:00:00+25:00", "the zone must be Z for UTC, or an offset such as +01:00"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(what_is_wrong_with_time(row.text) == row.said);
  }
  for (double number : {1.7e9, 1.7e12, 1.7e15, 1.7e18})
    CHECK(what_is_wrong_with_time(number)
          == "expected a text: for this number \"2023-11-14T22:13:20Z\"");
  CHECK(what_is_wrong_with_time(-1.5)
        == "expected a text: for this number \"1969-12-31T23:59:58.5Z\"");
}

TEST_CASE("trouble with a parameter: what it is called elsewhere is known, where there is one") {
  struct {
    std::string path;
    std::string name;
    std::string said;
  } const rows[] = {
    {"/stats/daily", "from", "unknown parameter; did you mean start?"},
    {"/stats/daily", "startDate", "unknown parameter; did you mean start?"},
    {"/stats/daily", "until", "unknown parameter; did you mean end?"},
    {"/stats/daily", "tz", "unknown parameter; did you mean timezone?"},
    {"/stats/daily", "path", "unknown parameter; did you mean route?"},
    {"/stats/summary", "limit", "unknown parameter; did you mean top?"},
    {"/stats/daily/features", "limit",
     "unknown parameter; there are start, end, timezone, feature, format"}, // top is not there
    {"/stats/daily", "rout", "unknown parameter; did you mean route?"},
    {"/cluster", "from", "unknown parameter; there is none here"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    auto read = read_question(*find_question(row.path), row.name + "=x", {"UTC", 366});
    REQUIRE_FALSE(read.errors.empty());
    CHECK(read.errors[0].pointer == row.name);
    CHECK(read.errors[0].message == row.said);
  }
}

TEST_CASE("trouble with a zone: abbreviations, offsets, cities, and a plus that became a space") {
  struct {
    std::string name;
    std::string said;
  } const rows[] = {
    {"", "the time zone is empty; give a name such as Europe/Berlin"},
    {"IST", "unknown time zone; IST may be Asia/Kolkata, Europe/Dublin or Asia/Jerusalem"},
    {"cest", "unknown time zone; cest may be Europe/Berlin"},
    {"Etc/GMT 5", "unknown time zone; in a query string + stands for a space: write Etc/GMT%2B5"},
    {"+02:00",
     "an offset is no time zone, because clocks are moved; give a place such as Europe/Berlin, or "
     "Etc/GMT-2, whose sign is the other way round"},
    {"UTC-5",
     "an offset is no time zone, because clocks are moved; give a place such as Europe/Berlin, or "
     "Etc/GMT+5, whose sign is the other way round"},
    {"GMT 0530",
     "an offset is no time zone, because clocks are moved; give a place such as Europe/Berlin"},
    {"+99:00",
     "an offset is no time zone, because clocks are moved; give a place such as Europe/Berlin"},
    {"berlin", "unknown time zone; did you mean Europe/Berlin?"},
    {"new york", "unknown time zone; did you mean America/New_York?"},
    {"Europe/Berln", "unknown time zone; did you mean Europe/Berlin?"},
    {"europe/berlin", "unknown time zone; did you mean Europe/Berlin?"},
    {"utc", "unknown time zone; did you mean UTC?"},
    {"XST", "unknown time zone, expected an IANA name such as Europe/Berlin"},
    {"xqzwv", "unknown time zone, expected an IANA name such as Europe/Berlin"},
    {std::string(5000, 'x'), "unknown time zone, expected an IANA name such as Europe/Berlin"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CHECK(what_is_wrong_with_zone(row.name) == row.said);
  }
}
