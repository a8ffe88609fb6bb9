// The readers of what comes from outside: framing, codings, events, query strings, addresses.

#include "protocol/text/rfc3339.hpp"
#include "server/api/client_address.hpp"
#include "server/api/event_reader.hpp"
#include "server/api/problem.hpp"
#include "server/api/query_params.hpp"
#include "server/http/content_coding.hpp"
#include "server/http/request_framing.hpp"
#include "server/http/routes.hpp"
#include "tests/support/compressed.hpp"
#include "tests/support/doctest.hpp"

#include <nlohmann/json.hpp>

using namespace phi;
using namespace phi::http;

namespace {

constexpr int64_t now_us = 1'767'323'045'000'000;
constexpr framing_limits framing{
  .uri_bytes = 100, .header_bytes = 400, .header_count = 5, .body_bytes = 50};

event_limits limits() {
  return {.events = 100,
          .event_bytes = 1000,
          .text_bytes = 64,
          .extra_bytes = 200,
          .max_future_us = 300'000'000,
          .max_age_us = 86'400'000'000 * 30};
}

/// Feeds `text` in pieces of `step` bytes; the first error, and how many bytes passed.
std::pair<error_code, size_t> feed(const std::string& text, size_t step) {
  request_framing machine{framing};
  size_t passed = 0;
  for (size_t at = 0; at < text.size(); at += step) {
    auto piece = text.substr(at, step);
    auto verdict = machine.feed(piece.data(), piece.size());
    passed += verdict.pass;
    if (verdict.error != error_code::none)
      return {verdict.error, passed};
  }
  return {error_code::none, passed};
}

} // namespace

TEST_CASE("framing: however the bytes are cut, good requests pass whole") {
  std::string text =
    "GET /a HTTP/1.1\r\nHost: t\r\n\r\nPOST /b HTTP/1.1\r\nHost: t\r\nContent-Length: "
    "5\r\n\r\nhello"
    "POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    auto [error, passed] = feed(text, step);
    CHECK(error == error_code::none);
    CHECK(passed == text.size());
  }
}

TEST_CASE("framing: limits and broken bytes are found, however they are cut") {
  const std::pair<std::string, error_code> rows[] = {
    {"GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: t\r\n\r\n", error_code::uri_too_long},
    {"GET / HTTP/1.1\r\nA: " + std::string(500, 'a') + "\r\n\r\n", error_code::header_too_large},
    {"GET / HTTP/1.1\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\n\r\n",
     error_code::header_too_large},
    {"POST / HTTP/1.1\r\nContent-Length: 51\r\n\r\n", error_code::body_too_large},
    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n"
       + std::string(51, 'a'),
     error_code::body_too_large},
    {"GET / HTTP/2.0\r\nHost: t\r\n\r\n", error_code::bad_http},
    {"nonsense\r\n\r\n", error_code::bad_http},
    {"GET / HTTP/1.1\r\nbad name: 1\r\n\r\n", error_code::bad_http},
  };
  for (const auto& [text, expected] : rows)
    for (size_t step : {size_t{1}, size_t{7}, text.size()}) {
      CAPTURE(text);
      CHECK(feed(text, step).first == expected);
    }
}

TEST_CASE("framing: what comes before the broken request passes, the rest does not") {
  std::string good = "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
  auto [error, passed] = feed(good + "broken\r\n\r\n", 1000);
  CHECK(error == error_code::bad_http);
  CHECK(passed == good.size());
}

TEST_CASE("framing: what proxies read in different ways is refused, however it is cut") {
  const std::string get = "GET / HTTP/1.1\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: t\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const std::vector<std::string> bad{
    get + "Host: a\r\nHost: a\r\n\r\n",
    get + "Host: a b\r\n\r\n",
    get + "Host: a,b\r\n\r\n",
    get + "Host: u@a\r\n\r\n",
    get + "Host: t\r\nX: a\r\n b\r\n\r\n",
    get + "Host: t\r\nX: a\r\n\tb\r\n\r\n",
    get + " X: a\r\nHost: t\r\n\r\n",
    get + "Host: t\r\nX : a\r\n\r\n",
    get + "Host: t\r\nX\t: a\r\n\r\n",
    get + "Host: t\r\n: a\r\n\r\n",
    get + "Host: t\r\nX: a\rb\r\n\r\n",
    get + "Host: t\r\nX: a\n\r\n",
    get + "Host: t\n\n",
    get + "Host: t\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n",
    get + "Host: t\r\nX: a\x01\r\n\r\n",
    get + "Host: t\r\nX" + std::string(1, '\0') + ": b\r\n\r\n",
    "GET / HTTP/1.1\nHost: t\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /  HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET\t/ HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: t\r\n\r\n",
    "\nGET / HTTP/1.1\r\nHost: t\r\n\r\n",
    post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    post + "Content-Length: 1, 1\r\n\r\na",
    post + "Content-Length: +1\r\n\r\na",
    post + "Content-Length: -1\r\n\r\na",
    post + "Content-Length: 0x1\r\n\r\na",
    post + "Content-Length: 1 1\r\n\r\na",
    post + "Content-Length:\r\n\r\n",
    post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    post + "Transfer-Encoding: identity\r\n\r\n",
    post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    chunked + "1\r\nab\r\n0\r\n\r\n",
    chunked + "1\r\naXX0\r\n\r\n",
    chunked + "1\r\na\n0\r\n\r\n",
    chunked + "1\r\na\r0\r\n\r\n",
    chunked + "1\na\r\n0\r\n\r\n",
    chunked + "1;x\na\r\n0\r\n\r\n",
    chunked + "1;x\ry\r\na\r\n0\r\n\r\n",
    chunked + "1 x\r\na\r\n0\r\n\r\n",
    chunked + " 1\r\na\r\n0\r\n\r\n",
    chunked + "0x1\r\na\r\n0\r\n\r\n",
    chunked + "-1\r\na\r\n0\r\n\r\n",
    chunked + "10000000000000001\r\na\r\n0\r\n\r\n",
    chunked + "\r\na\r\n0\r\n\r\n",
    chunked + "1;" + std::string(2000, 'x') + "\r\na\r\n0\r\n\r\n",
    chunked + "1\r\na\r\n0\r\nX: a\n\r\n",
    chunked + "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
    chunked + "1\r\na\r\n0\r\nHost: u\r\n\r\n",
  };
  for (const auto& bytes : bad)
    for (size_t step : {size_t{1}, size_t{7}, bytes.size()}) {
      CAPTURE(bytes);
      CAPTURE(step);
      CHECK(feed(bytes, step).first != error_code::none);
    }
  const std::vector<std::string> good{
    "\r\n" + get + "Host: t\r\n\r\n",
    get + "Host: [::1]:3939\r\nX:a\r\nY: \t b \r\nZ:\r\nB: \xe9\r\n\r\n",
    post + "Content-Length: 0\r\n\r\n" + get + "Host: t\r\n\r\n",
    post + "Content-Length: 3\r\n\r\n\r\n\n",
    post
      + "transfer-encoding: Chunked\r\n\r\nA;x=\"y\"\r\n0123456789\r\n1 ;z\r\n\n\r\n00\r\nT: "
        "u\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
  };
  for (const auto& bytes : good)
    for (size_t step : {size_t{1}, size_t{7}, bytes.size()}) {
      CAPTURE(bytes);
      CAPTURE(step);
      CHECK(feed(bytes, step).first == error_code::none);
    }
}

TEST_CASE("framing: HTTP/1.1 needs a Host, 1.0 does not, each request for itself") {
  const std::string new_one = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
  const std::string old_one = "GET / HTTP/1.0\r\n\r\n";
  const std::string without = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
  for (size_t step : {size_t{1}, size_t{7}, size_t{1000}}) {
    CAPTURE(step);
    CHECK(feed(old_one + new_one + old_one, step).first == error_code::none);
    CHECK(feed(without, step).first == error_code::missing_host);
    CHECK(feed(old_one + without + new_one, step)
          == std::pair{error_code::missing_host,
                       step == 1000 ? old_one.size() : feed(old_one + without, step).second});
    CHECK(feed("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", step).first
          == error_code::missing_host);
  }
  request_framing machine{framing}; // one of 1.0 knows no interim answers
  std::string old_ask = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  CHECK_FALSE(machine.feed(old_ask.data(), old_ask.size()).wants_continue);
}

TEST_CASE("framing: knows its stage, and sees Expect: 100-continue") {
  request_framing machine{framing};
  using stage = request_framing::stage;
  CHECK(machine.now() == stage::between);
  machine.feed("POST / HT", 9);
  CHECK(machine.now() == stage::header);
  std::string rest = "TP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  CHECK(machine.feed(rest.data(), rest.size()).wants_continue);
  CHECK(machine.now() == stage::body);
  CHECK_FALSE(machine.feed("ab", 2).wants_continue);
  CHECK(machine.now() == stage::between);
}

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

TEST_CASE("problem+json survives what clients put into it") {
  auto text =
    problem_json(error_code::invalid_query, "bad \xff bytes \"quoted\"", "id",
                 {{.index = 3, .code = error_code::too_long, .pointer = "/a", .message = "m"}});
  auto body = nlohmann::json::parse(text);
  CHECK(body["status"] == 422);
  CHECK(body["errors"][0]["index"] == 3);
  CHECK(problem_answer(error_code::bad_http, "id").starts_with("HTTP/1.1 400 Bad Request\r\n"));
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

TEST_CASE("what the store refuses is named by its place in the request, among what was invalid") {
  // Of six events the first, the fourth and the last were invalid; of the other three (1, 2, 4) the
  // store refuses the first and the third.
  std::vector<problem_detail> invalid{{.index = 0, .code = error_code::unknown_field},
                                      {.index = 3, .code = error_code::too_long},
                                      {.index = 5, .code = error_code::too_long}};
  std::vector<refused_event> refused{{.at = 0, .detail = "first"}, {.at = 2, .detail = "third"}};
  ingest_outcome outcome{.stored = 1, .refused = refused};
  auto body = nlohmann::json::parse(ingest_json(outcome, invalid));
  CHECK(body["stored"] == 1);
  std::vector<std::pair<int, std::string>> got;
  for (const auto& one : body["rejected"])
    got.emplace_back(one["index"], one["code"]);
  CHECK(got
        == std::vector<std::pair<int, std::string>>{{0, "unknown_field"},
                                                    {1, "refused_by_store"},
                                                    {3, "too_long"},
                                                    {4, "refused_by_store"},
                                                    {5, "too_long"}});
  CHECK(body["rejected"][3]["message"] == "third");
}

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
  query_defaults defaults{"UTC", 366};
  auto read = read_question(query_kind::summary,
                            "include=routes,latency;+unique_ips%09status&top=999", defaults);
  CHECK(read.errors.empty());
  CHECK(read.what.include.routes);
  CHECK(read.what.include.latency);
  CHECK(read.what.include.unique_ips);
  CHECK(read.what.include.status);
  CHECK_FALSE(read.what.include.methods);
  CHECK(read.what.top == 200);
  auto leap = read_question(query_kind::daily,
                            "start=2024-01-01&end=2024-12-31&timezone=Asia/Kathmandu", defaults);
  CHECK(leap.errors.empty());
  auto wrong = read_question(query_kind::daily,
                             "start=2024-01-01&end=2024-01-01&timezone=Europe/Belrin", defaults);
  REQUIRE(wrong.errors.size() == 1);
  CHECK(wrong.errors[0].message.find("did you mean Europe/Berlin?") != std::string::npos);
  auto empty = read_question(query_kind::summary, "timezone=", defaults);
  REQUIRE(empty.errors.size() == 1);
  CHECK(empty.errors[0].pointer == "timezone");
  CHECK(empty.errors[0].message == "the time zone is empty; give a name such as Europe/Berlin");
}

TEST_CASE("questions: a number that no 64 bits hold is no number of rows") {
  query_defaults defaults{"UTC", 366};
  for (const std::string top :
       {"9223372036854775808", "18446744073709551616", "99999999999999999999999", "1e30", "20.5",
        "-1", "0", "", "+5", " 5", "-9223372036854775809"}) {
    CAPTURE(top);
    auto read = read_question(query_kind::summary, "top=" + top, defaults);
    REQUIRE(read.errors.size() == 1);
    CHECK(read.errors[0].pointer == "top");
    CHECK(read.errors[0].message == "expected a whole number from 1 to 200");
  }
  CHECK(read_question(query_kind::summary, "top=9223372036854775807", defaults).what.top == 200);
}

TEST_CASE("routes: found by method and path; a wrong method learns which are right") {
  route_table table{"/api/v1", true};
  CHECK(table.find("POST", "/api/v1/events").found->what == action::ingest);
  CHECK(table.find("HEAD", "/health").found->what == action::health);
  CHECK(table.find("GET", "/api/v1/events").allowed == "POST");
  CHECK(table.find("GET", "/api/v1/events/").found == nullptr);
  CHECK(route_table("/api/v1", false).find("POST", "/api/v1/events").found == nullptr);
}

TEST_CASE("proxies: X-Forwarded-For counts from the right, behind trusted ones only") {
  trusted_proxies proxies{{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}};
  CHECK(proxies.client("203.0.113.9", "1.2.3.4") == "203.0.113.9");
  CHECK(proxies.client("10.1.2.3", "1.2.3.4") == "1.2.3.4");
  CHECK(proxies.client("10.1.2.3", "6.6.6.6, 1.2.3.4, 192.0.2.7") == "1.2.3.4");
  CHECK(proxies.client("10.1.2.3", "") == "10.1.2.3");
  CHECK(proxies.client("10.1.2.3", "1.2.3.4, not an address") == "10.1.2.3");
  CHECK(proxies.client("2001:db8::1", "2001:db9::1") == "2001:db9::1");
  CHECK(proxies.client("::ffff:10.0.0.1", "1.2.3.4") == "1.2.3.4");
  // With a port, in brackets, and however it is spelt, it is one address.
  CHECK(proxies.client("10.1.2.3", "203.0.113.7:41000") == "203.0.113.7");
  CHECK(proxies.client("10.1.2.3", "[2001:db9::1]:443") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "[2001:db9::1]") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "\"[2001:db9::1]:443\"") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "2001:0DB9:0:0::0001") == "2001:db9::1");
  CHECK(proxies.client("10.1.2.3", "fe80::1%eth0") == "fe80::1");
  CHECK(proxies.client("10.1.2.3", "::ffff:1.2.3.4") == "1.2.3.4");
  CHECK(proxies.client("10.1.2.3", "1.2.3.4, 10.0.0.9:3128, [2001:db8::7]:80") == "1.2.3.4");
  CHECK(proxies.client("::FFFF:203.0.113.9", "") == "203.0.113.9");
  for (const auto* odd : {"[2001:db9::1", "[2001:db9::1]x", "unknown", "_hidden", "1.2.3.4.5", ""})
    CHECK(proxies.client("10.1.2.3", odd) == "10.1.2.3");
  CHECK(trusted_proxies{{"::ffff:10.0.0.0/104"}}.contains("10.1.2.3"));
  CHECK_FALSE(trusted_proxies{{"::ffff:10.0.0.0/104"}}.contains("11.1.2.3"));
  CHECK_THROWS_AS(trusted_proxies({"10.0.0.0/33"}), std::invalid_argument);
  CHECK_THROWS_AS(trusted_proxies({"example.org"}), std::invalid_argument);
}

TEST_CASE("codings: unknown ones are told apart from broken ones") {
  CHECK(expand("br", "x", 100).error == error_code::unsupported_encoding);
  CHECK(expand("br", "x", 100).detail
        == "Content-Encoding says \"br\"; gzip and zstd are understood, one of them");
  CHECK(expand("gzip", "x", 100).error == error_code::bad_encoding);
  CHECK(expand("zstd", "x", 100).error == error_code::bad_encoding);
}

TEST_CASE("codings: the sender is told what is wrong with its stream") {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += std::to_string(i * 7919);
  auto whole = phi::testing::gzip(text);
  auto told = [](const std::string& body, size_t most = 100'000) {
    return expand("gzip", body, most).detail;
  };
  CHECK(told(whole) == "");
  CHECK(expand("gzip", whole, 100'000).text == text);
  CHECK(told("") == "Content-Encoding says gzip, and the body is empty");
  CHECK(told("{\"feature\":\"a\"}")
        == "Content-Encoding says gzip, and the body does not begin as a gzip stream does");
  CHECK(
    told(whole.substr(0, 100))
    == "Content-Encoding says gzip, and the gzip stream ends early, after 100 bytes: was it cut "
       "short?");
  auto size = std::to_string(whole.size() - 1);
  CHECK(told(whole.substr(0, whole.size() - 1))
        == "Content-Encoding says gzip, and the gzip stream ends early, after " + size
             + " bytes: was it cut short?");
  auto damaged = whole;
  damaged[whole.size() - 6] ^= 1; // its checksum
  CHECK(told(damaged).starts_with("Content-Encoding says gzip, and the gzip stream is damaged near "
                                  "byte "));
  CHECK(told(whole, 100) == "the body expands to more than 100 bytes (server.max_expanded_bytes)");
  auto other = phi::testing::zstd(text);
  CHECK(expand("zstd", other.substr(0, other.size() - 1), 100'000).detail
        == "Content-Encoding says zstd, and the zstd stream ends early, after "
             + std::to_string(other.size() - 1) + " bytes: was it cut short?");
  CHECK(expand("zstd", "nonsense", 100'000)
          .detail.starts_with("Content-Encoding says zstd, and the zstd stream is damaged near "
                              "byte "));
}
