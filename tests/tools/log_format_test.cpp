// Lines of access logs and tables as events.

#include "tests/support/doctest.hpp"
#include "tools/phictl/log_format.hpp"

using namespace phi::ctl;
using json = nlohmann::json;

namespace {

std::string event(const char* format, std::string_view line) {
  auto out = make_converter(format)->convert(line);
  CHECK(out.why == "");
  CHECK_FALSE(out.left_out);
  return out.event.dump();
}

std::string wrong(const char* format, std::string_view line) {
  auto out = make_converter(format)->convert(line);
  CHECK(out.event.is_null());
  CHECK_FALSE(out.left_out);
  return out.why;
}

const std::string browser =
  "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0";

} // namespace

TEST_CASE("logs: a line of Apache's combined format") {
  CHECK(event("combined", R"(203.0.113.7 - - [10/Oct/2026:13:55:36 -0700] "GET /a/b?q=1 HTTP/1.1" )"
                          R"(200 2326 "https://example.org/page?secret=1" ")"
                            + browser + "\"")
        == R"({"time":"2026-10-10T13:55:36-07:00","route":"/a/b","method":"GET","status":200,)"
           R"("user":"203.0.113.7 )"
             + browser
             + R"(","userKind":"visitor","extra":{"bytes":2326,"referrer":"https://example.org/)"
               R"(page"}})");
  CHECK(event("combined", R"(::1 - ada [01/Feb/2026:00:00:00 +0000] "POST / HTTP/2.0" 302 - "-" ")"
                            + browser + R"(" 0.004 more)")
        == R"({"time":"2026-02-01T00:00:00+00:00","route":"/","method":"POST","status":302,)"
           R"("user":"ada","userKind":"user"})");
}

TEST_CASE("logs: bots say so, or name no browser; what is no request has no path") {
  auto kind = [](const std::string& agent) {
    return json::parse(
      event("combined", R"(h - - [01/Feb/2026:00:00:00 +0000] "GET /x HTTP/1.1" 200 1 "-" ")"
                          + agent + "\""))["userKind"];
  };
  CHECK(kind(browser) == "visitor");
  CHECK(kind("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)") == "bot");
  CHECK(kind("curl/8.0") == "bot");
  CHECK(kind("-") == "bot");
  CHECK(kind("Mozilla/5.0 \\\"quoted\\\" Safari") == "visitor");
  auto strange =
    json::parse(event("common", R"(h - - [01/Feb/2026:00:00:00 +0000] "\x16\x03\x01" 400 0)"));
  CHECK(strange["route"] == "(unreadable)");
  CHECK_FALSE(strange.contains("method"));
  CHECK(strange["status"] == 400);
}

TEST_CASE(
  "logs: what is ordinary in a log and too much for an event is no reason to refuse a line") {
  const std::string before = "203.0.113.7 - ";
  const std::string time = " [01/Feb/2026:00:00:00 +0000] ";
  auto long_one =
    json::parse(event("combined", before + "-" + time + "\"GET /" + std::string(300, 'p')
                                    + " HTTP/1.1\" 000 1 \"-\" \"Mozilla/5.0 "
                                    + std::string(280, 'a') + "\xc3\xa4\""));
  CHECK(long_one["route"] == "/" + std::string(255, 'p'));
  CHECK(long_one["user"] == ("203.0.113.7 Mozilla/5.0 " + std::string(280, 'a')).substr(0, 256));
  CHECK_FALSE(long_one.contains("status"));
  auto umlauts = json::parse(event("common", before + "x" + std::string(127, 'y') + "\xc3\xa4"
                                               + std::string(125, 'z') + "\xc3\xa4" + time
                                               + "\"GET / HTTP/1.1\" 200 1"));
  CHECK(umlauts["user"] == "x" + std::string(127, 'y') + "\xc3\xa4" + std::string(125, 'z'));
  auto two_words =
    json::parse(event("common", before + "ada lovelace" + time + "\"GET / HTTP/1.1\" 200 1"));
  CHECK(two_words["user"] == "ada lovelace");
  CHECK(json::parse(event("caddy", R"({"ts":1767225600,"request":{"uri":"/"},"size":1000000,)"
                                   R"("status":0})"))
        == json::parse(R"({"time":"2026-01-01T00:00:00Z","route":"/","extra":{"bytes":1000000}})"));
}

TEST_CASE("logs: what is wrong with a line is said") {
  CHECK(wrong("combined", "hello")
        == "the line is not like HOST IDENT USER [TIME] \"REQUEST\" STATUS BYTES \"REFERRER\" "
           "\"AGENT\"");
  CHECK(wrong("combined", R"(h - - [01/Feb/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1)")
        == "the line is not like HOST IDENT USER [TIME] \"REQUEST\" STATUS BYTES \"REFERRER\" "
           "\"AGENT\"; a line that ends before is of --format common");
  CHECK(wrong("common", R"(h - - [31/Feb/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1)")
        == "the time is not like 10/Oct/2000:13:55:36 -0700");
  CHECK(wrong("caddy", "{") == "the line is no JSON object");
  CHECK(wrong("nginx-json", R"({"status":"200"})")
        == "the line says no time that can be read (time_iso8601, msec or time_local)");
}

TEST_CASE("logs: Caddy's lines, and those that are about something else") {
  CHECK(
    event("caddy", R"({"level":"info","ts":1767225600.25,"msg":"handled request","request":{)"
                   R"("remote_ip":"192.0.2.1","client_ip":"198.51.100.2","method":"GET",)"
                   R"("uri":"/p?x","headers":{"User-Agent":["curl/8"]}},"duration":0.0125,)"
                   R"("size":10,"status":404,"user_id":""})")
    == R"({"time":"2026-01-01T00:00:00.25Z","route":"/p","method":"GET","status":404,)"
       R"("durationMs":12.5,"user":"198.51.100.2 curl/8","userKind":"bot","extra":{"bytes":10}})");
  auto other = make_converter("caddy")->convert(R"({"level":"info","ts":1,"msg":"serving"})");
  CHECK(other.left_out);
  CHECK(other.event.is_null());
}

TEST_CASE("logs: nginx's variables as JSON, whichever of them are there") {
  CHECK(event("nginx-json",
              R"({"time_iso8601":"2026-01-01T01:00:00+01:00","request_method":"GET",)"
              R"("request_uri":"/i?x=1","status":"200","request_time":"0.003",)"
              R"("remote_addr":"192.0.2.9","http_user_agent":"","body_bytes_sent":7})")
        == R"({"time":"2026-01-01T01:00:00+01:00","route":"/i","method":"GET","status":200,)"
           R"("durationMs":3.0,"user":"192.0.2.9 ","userKind":"bot","extra":{"bytes":7}})");
  CHECK(event("nginx-json", R"({"msec":1767225600.123,"request":"PUT /y HTTP/1.1","status":201})")
        == R"({"time":"2026-01-01T00:00:00.123Z","route":"/y","method":"PUT","status":201})");
}

TEST_CASE("logs: a table says in its first line what its columns are") {
  auto table = make_converter("csv");
  CHECK(table->take_header("feature,status,durationMs,user,extra.plan"));
  CHECK(table->convert(R"(login,200,1.5,"Lovelace, ""Ada""",pro)").event.dump()
        == R"({"feature":"login","status":200,"durationMs":1.5,"user":"Lovelace, \"Ada\"",)"
           R"("extra":{"plan":"pro"}})");
  CHECK(table->convert("x,,,,").event.dump() == R"({"feature":"x"})");
  CHECK(table->convert("x,ok,,,").event.dump() == R"({"feature":"x","status":"ok"})");
  CHECK(table->convert("x,1").why == "the line has 2 cells, the first one 5");
  CHECK(table->convert("\"x,,,,").why
        == "a quoted cell does not end on its line, or has text around it");
  CHECK(table->convert("").left_out);
  CHECK_FALSE(make_converter("combined")->take_header("x"));
  CHECK(make_converter("events") == nullptr);
}
