// Malformed input: each row is answered with the right 4xx, and changes nothing.

#include "tests/support/compressed.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/stored.hpp"

#include <vector>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct bad_request {
  std::string name;
  int status;
  std::string bytes;
};

std::string with_body(const std::string& body, const std::string& type = "application/json",
                      const std::string& headers = "",
                      const std::string& target = "/api/v1/events") {
  return "POST " + target + " HTTP/1.1\r\nHost: t\r\nContent-Type: " + type
         + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

std::string ask(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: t\r\n\r\n";
}

std::string repeat(const std::string& text, size_t n) {
  std::string out;
  while (n-- > 0)
    out += text;
  return out;
}

std::string bomb_gzip(size_t size) {
  return gzip(std::string(size, ' '));
}

std::string bomb_zstd(size_t size) {
  return zstd(std::string(size, ' '));
}

std::vector<bad_request> json_bodies() {
  std::vector<bad_request> out;
  auto add = [&](const char* name, const std::string& body, int status = 400) {
    out.push_back({name, status, with_body(body)});
  };
  add("empty body", "");
  add("only white space", "  \n ");
  add("truncated object", "{\"feature\":\"a\"");
  add("truncated string", "{\"feature\":\"a");
  add("truncated array", "[{\"feature\":\"a\"}");
  add("empty array", "[]");
  add("trailing comma", "{\"feature\":\"a\",}");
  add("single quotes", "{'feature':'a'}");
  add("two values", "{\"feature\":\"a\"} {\"feature\":\"b\"}");
  add("a number", "42");
  add("a string", "\"feature\"");
  add("null", "null");
  add("array of numbers", "[1,2,3]");
  add("array of arrays", "[[{\"feature\":\"a\"}]]");
  add("no feature and no route", "{\"action\":\"a\"}");
  add("empty object", "{}");
  add("feature is a number", "{\"feature\":1}");
  add("feature is an object", "{\"feature\":{}}");
  add("feature is null", "{\"feature\":null}");
  add("feature is empty", "{\"feature\":\"\"}");
  add("status is a text", "{\"feature\":\"a\",\"status\":\"200\"}");
  add("status is a fraction", "{\"feature\":\"a\",\"status\":200.5}");
  add("status too small", "{\"feature\":\"a\",\"status\":99}");
  add("status too large", "{\"feature\":\"a\",\"status\":600}");
  add("duration negative", "{\"feature\":\"a\",\"durationMs\":-1}");
  add("duration a text", "{\"feature\":\"a\",\"durationMs\":\"12\"}");
  add("duration huge", "{\"feature\":\"a\",\"durationMs\":1e300}");
  add("number out of any range", "{\"feature\":\"a\",\"durationMs\":1e999}");
  add("integer out of any range", "{\"feature\":\"a\",\"status\":99999999999999999999999999}");
  add("leading zero", "{\"feature\":\"a\",\"status\":0200}");
  add("NaN", "{\"feature\":\"a\",\"durationMs\":NaN}");
  add("time is a number", "{\"feature\":\"a\",\"time\":1700000000}");
  add("time is no time", "{\"feature\":\"a\",\"time\":\"yesterday\"}");
  add("time without a zone", "{\"feature\":\"a\",\"time\":\"2026-01-01T00:00:00\"}");
  add("time on the 30th of February", "{\"feature\":\"a\",\"time\":\"2026-02-30T00:00:00Z\"}");
  add("time in the far future", "{\"feature\":\"a\",\"time\":\"2999-01-01T00:00:00Z\"}");
  add("time in the far past", "{\"feature\":\"a\",\"time\":\"1970-01-01T00:00:00Z\"}");
  add("unknown field", "{\"feature\":\"a\",\"feture\":\"b\"}");
  add("field given twice", "{\"feature\":\"a\",\"feature\":\"b\"}");
  add("user and userHash", "{\"feature\":\"a\",\"user\":\"u\",\"userHash\":\"h\"}");
  add("extra is an array", "{\"feature\":\"a\",\"extra\":[]}");
  add("extra too long", "{\"feature\":\"a\",\"extra\":{\"k\":\"" + std::string(5000, 'x') + "\"}}");
  add("feature too long", "{\"feature\":\"" + std::string(257, 'x') + "\"}");
  add("event too large",
      "{\"feature\":\"a\",\"extra\":{\"k\":\"" + std::string(20000, 'x') + "\"}}");
  add("NUL in a text", "{\"feature\":\"a\\u0000b\"}");
  add("NUL inside extra", "{\"feature\":\"a\",\"extra\":{\"k\":[{\"l\":\"\\u0000\"}]}}");
  add("NUL in a name inside extra", "{\"feature\":\"a\",\"extra\":{\"\\u0000\":1}}");
  add("a raw NUL byte", std::string("{\"feature\":\"a\0b\"}", 17));
  add("a raw control character", "{\"feature\":\"a\nb\"}");
  add("half a surrogate pair", "{\"feature\":\"\\ud800\"}");
  add("invalid UTF-8", "{\"feature\":\"\xff\xfe\"}");
  add("overlong UTF-8", "{\"feature\":\"\xc0\xaf\"}");
  add("bad escape", "{\"feature\":\"\\x41\"}");
  add("byte order mark of UTF-16", std::string("\xff\xfe{\0}\0", 6));
  add("deep nesting",
      "{\"feature\":\"a\",\"extra\":" + repeat("{\"a\":", 40) + "1" + repeat("}", 40) + "}");
  add("very deep nesting", repeat("[", 100000));
  add("too many events", "[" + repeat("{\"feature\":\"a\"},", 10001) + "{\"feature\":\"a\"}]", 413);
  return out;
}

std::vector<bad_request> line_bodies() {
  std::vector<bad_request> out;
  auto add = [&](const char* name, const std::string& body, int status = 400) {
    out.push_back({name, status, with_body(body, "application/x-ndjson")});
  };
  add("no line", "\n\n\n");
  add("only bad lines", "{\n}\n[]\n");
  add("a value over two lines", "{\"feature\":\n\"a\"}");
  add("a line too long",
      "{\"feature\":\"a\",\"extra\":{\"k\":\"" + std::string(20000, 'x') + "\"}}\n");
  add("too many lines", repeat("{\"feature\":\"a\"}\n", 10001), 413);
  return out;
}

std::vector<bad_request> encodings() {
  auto gzipped = [](const std::string& body) {
    return with_body(body, "application/json", "Content-Encoding: gzip\r\n");
  };
  auto zstded = [](const std::string& body) {
    return with_body(body, "application/json", "Content-Encoding: zstd\r\n");
  };
  return {
    {"no gzip", 400, gzipped("{\"feature\":\"a\"}")},
    {"truncated gzip", 400, gzipped(bomb_gzip(100).substr(0, 12))},
    {"empty gzip", 400, gzipped("")},
    {"gzip bomb", 413, gzipped(bomb_gzip(100 << 20))},
    {"no zstd", 400, zstded("{\"feature\":\"a\"}")},
    {"truncated zstd", 400, zstded(bomb_zstd(100000).substr(0, 10))},
    {"zstd bomb", 413, zstded(bomb_zstd(100 << 20))},
    {"unknown coding", 415, with_body("x", "application/json", "Content-Encoding: br\r\n")},
    {"two codings", 415, with_body("x", "application/json", "Content-Encoding: gzip, zstd\r\n")},
    {"form data", 415, with_body("feature=a", "application/x-www-form-urlencoded")},
    {"no media type", 415,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 15\r\n\r\n{\"feature\":\"a\"}"},
    {"text", 415, with_body("{\"feature\":\"a\"}", "text/plain")},
  };
}

std::vector<bad_request> broken_http() {
  return {
    {"no HTTP at all", 400, "hello there\r\n\r\n"},
    {"TLS", 400, std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)},
    {"HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"HTTP/3.0", 505, "GET /health HTTP/3.0\r\nHost: t\r\n\r\n"},
    {"no version", 400, "GET /health\r\n\r\n"},
    {"unknown method", 501, "FETCH /health HTTP/1.1\r\nHost: t\r\n\r\n"},
    {"no Host", 400, "GET /health HTTP/1.1\r\n\r\n"},
    {"bad header name", 400, "GET /health HTTP/1.1\r\nHost: t\r\nbad header: x\r\n\r\n"},
    {"no colon", 400, "GET /health HTTP/1.1\r\nHost: t\r\nnocolon\r\n\r\n"},
    {"bad length", 400, "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: abc\r\n\r\n"},
    {"negative length", 400,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\n"},
    {"two lengths", 400,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: "
     "6\r\n\r\nabcde"},
    {"length and chunks", 400,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n"},
    {"bad chunk", 400,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
    {"length too large", 413,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n"},
    {"length past 64 bits", 400,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
    {"body too large", 413, with_body(std::string(1200000, ' '))},
    {"chunks too large", 413,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
       + repeat("10000\r\n" + std::string(65536, ' ') + "\r\n", 20)},
    {"target too long", 414, ask("/" + std::string(9000, 'a'))},
    {"header too large", 431,
     "GET /health HTTP/1.1\r\nHost: t\r\nX: " + std::string(20000, 'a') + "\r\n\r\n"},
    {"too many headers", 431,
     "GET /health HTTP/1.1\r\nHost: t\r\n" + repeat("X-A: b\r\n", 200) + "\r\n"},
  };
}

std::vector<bad_request> targets() {
  auto daily = [](const std::string& rest) { return ask("/api/v1/stats/daily?" + rest); };
  return {
    {"no such path", 404, ask("/api/v1/nothing")},
    {"no such path above", 404, ask("/api/v1/stats/../events")},
    {"wrong method", 405, ask("/api/v1/events")},
    {"wrong method for a question", 405,
     with_body("{}", "application/json", "", "/api/v1/stats/daily")},
    {"unknown flag", 422,
     with_body("{\"feature\":\"a\"}", "application/json", "", "/api/v1/events?dry=true")},
    {"bad flag", 422,
     with_body("{\"feature\":\"a\"}", "application/json", "", "/api/v1/events?atomic=maybe")},
    {"no dates", 422, daily("")},
    {"no end", 422, daily("start=2026-01-01")},
    {"no date", 422, daily("start=1.1.2026&end=2026-01-02")},
    {"31st of April", 422, daily("start=2026-04-31&end=2026-05-01")},
    {"end before start", 422, daily("start=2026-01-02&end=2026-01-01")},
    {"range too long", 422, daily("start=2020-01-01&end=2026-01-01")},
    {"unknown zone", 422, daily("start=2026-01-01&end=2026-01-01&timezone=Europe/Berln")},
    {"unknown parameter", 422, daily("start=2026-01-01&end=2026-01-01&rout=/a")},
    {"parameter twice", 422, daily("start=2026-01-01&start=2026-01-02&end=2026-01-03")},
    {"broken escape", 422, daily("start=2026-01-01&end=2026-01-01&feature=%zz")},
    {"NUL in a filter", 422, daily("start=2026-01-01&end=2026-01-01&feature=%00")},
    {"top of zero", 422, ask("/api/v1/stats/summary?top=0")},
    {"top negative", 422, ask("/api/v1/stats/summary?top=-5")},
    {"top a text", 422, ask("/api/v1/stats/summary?top=many")},
    {"unknown part", 422, ask("/api/v1/stats/summary?include=everything")},
  };
}

/// Bytes that are no UTF-8, wherever a client may put some.
std::vector<bad_request> odd_bytes() {
  std::vector<bad_request> out;
  for (const std::string odd :
       {"caf%E9", "%ff%fe", "%C0%AF", "%ED%A0%80", "%F5%80%80%80", "%E2%82"})
    for (const auto& name :
         std::vector<std::string>{"feature", "route", "method", "start", "end", "timezone", odd}) {
      out.push_back(
        {name + "=" + odd, 422,
         ask("/api/v1/stats/daily?start=2026-01-01&end=2026-01-02&" + name + "=" + odd)});
      out.push_back(
        {name + "=" + odd, 422, ask("/api/v1/stats/daily/features?" + name + "=" + odd)});
    }
  for (const std::string name : {"feature", "include", "top", "timezone"})
    out.push_back({name, 422, ask("/api/v1/stats/summary?" + name + "=caf%E9")});
  out.push_back({"a raw byte in the query", 422, ask("/api/v1/stats/summary?feature=caf\xe9")});
  out.push_back(
    {"a flag", 422,
     with_body("{\"feature\":\"a\"}", "application/json", "", "/api/v1/events?atomic=%E9")});
  out.push_back({"a path", 404, ask("/api/v1/caf%E9")});
  out.push_back({"a raw byte in the path", 404, ask("/api/v1/caf\xe9")});
  out.push_back({"an id of the request", 404,
                 "GET /nothing HTTP/1.1\r\nHost: t\r\nX-Request-Id: caf\xe9\r\n\r\n"});
  out.push_back({"a media type", 415, with_body("{\"feature\":\"a\"}", "application/caf\xe9")});
  out.push_back(
    {"a coding", 415, with_body("x", "application/json", "Content-Encoding: caf\xe9\r\n")});
  return out;
}

/// What programs on one connection read in different ways.
std::vector<bad_request> loose_framing() {
  const std::string get = "GET /health/live HTTP/1.1\r\n";
  const std::string chunked = "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
                              "application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string event = "f\r\n{\"feature\":\"a\"}";
  return {
    {"chunk data that ends otherwise", 400, chunked + event + "XX0\r\n\r\n"},
    {"chunk data that ends with LF", 400, chunked + event + "\n0\r\n\r\n"},
    {"LF in a chunk extension", 400, chunked + "f;a\nb\r\n{\"feature\":\"a\"}\r\n0\r\n\r\n"},
    {"CR in a chunk extension", 400, chunked + "f;a\rb\r\n{\"feature\":\"a\"}\r\n0\r\n\r\n"},
    {"LF behind a chunk's length", 400, chunked + "f\n{\"feature\":\"a\"}\r\n0\r\n\r\n"},
    {"two Host lines", 400, get + "Host: t\r\nHost: u\r\n\r\n"},
    {"a folded line", 400, get + "Host: t\r\nX: a\r\n b\r\n\r\n"},
    {"a bare CR", 400, get + "Host: t\r\nX: a\rb\r\n\r\n"},
    {"a bare LF", 400, get + "Host: t\nX: a\r\n\r\n"},
    {"a space before the colon", 400, get + "Host: t\r\nX : a\r\n\r\n"},
    {"gzip and chunks", 501,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, "
     "chunked\r\n\r\n0\r\n\r\n"},
    {"a length with a sign", 400,
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\nabcde"},
  };
}

} // namespace

TEST_CASE("malformed requests get their 4xx and change nothing") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  size_t rows = 0;
  for (const auto& table : {json_bodies(), line_bodies(), encodings(), broken_http(), targets(),
                            odd_bytes(), loose_framing()})
    for (const auto& [name, status, bytes] : table) {
      CAPTURE(name);
      ++rows;
      http_client client{service.port()};
      client.send(bytes);
      auto answer = client.read(10s);
      CHECK(answer.status == status);
      CHECK(answer.headers["content-type"] == "application/problem+json");
      CHECK(answer.headers.contains("x-request-id"));
    }
  CHECK(rows >= 60);
  CHECK(get(service.port(), "/health").body.find("\"stored\":0") != std::string::npos);
  CHECK(post(service.port(), "/api/v1/events", R"({"feature":"still fine"})").status == 200);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 1);
}

TEST_CASE("a malformed request behind a good one on the same connection: both are answered") {
  temp_dir dir;
  service_process service{dir.path()};
  http_client client{service.port()};
  client.send(with_body("{\"feature\":\"a\"}") + "nonsense\r\n\r\n");
  CHECK(client.read().status == 200);
  auto second = client.read();
  CHECK(second.status == 400);
  CHECK(second.closes());
  CHECK(client.ended());
}
