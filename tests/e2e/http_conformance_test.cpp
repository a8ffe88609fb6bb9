// What RFC 9110 (semantics) and RFC 9112 (HTTP/1.1) demand of an origin server, clause by clause,
// on raw sockets. Each row and each case names its section.
//
// | section of RFC 9112 | where |
// |---|---|
// | 2.2 lines, bare CR, blank before the fields; 3 request line, 414; 3.2 Host; 5.1, 5.2 fields |
// rows | | 6.1, 6.3 transfer codings and lengths that contradict; 7.1 chunks, extensions, trailers
// | rows | | 3.2.2, 3.2.4 forms of the target | rows | | 2.3, 9.3 versions and what persists; 9.6
// close; 9.3.2 pipelines; 8 incomplete messages | cases |
//
// | section of RFC 9110 | where |
// |---|---|
// | 5.5 values; 9.1 methods; 15.5.6 Allow; 15.6.6 versions; 7.8 Upgrade; 14.2 Range | rows |
// | 6.6.1 Date; 11.6.1 WWW-Authenticate; 8.6 no length beside 204, 1xx | every row, cases |
// | 9.3.2 HEAD; 9.3.7 OPTIONS; 10.1.1 Expect | cases |
//
// Not there, so that nothing is demanded: entity tags and dates of modification (13), ranges (14),
// redirections, TRACE, CONNECT, authentication by a proxy.

#include "tests/support/doctest.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/service_process.hpp"
#include "tests/support/stored.hpp"

#include <sys/socket.h>
#include <vector>

using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

const std::string get_live = "GET /health/live HTTP/1.1\r\n";
const std::string get_good = get_live + "Host: t\r\n\r\n";
const std::string post_line = "POST /api/v1/events HTTP/1.1\r\nHost: t\r\n"
                              "Content-Type: application/json\r\n";
const std::string chunked = post_line + "Transfer-Encoding: chunked\r\n\r\n";
const std::string event = R"({"feature":"a"})"; // 15 bytes
const std::string whole = post_line + "Content-Length: 15\r\n\r\n" + event;

enum class after { open, closed };

struct clause {
  std::string section;
  std::string bytes;
  int status;
  after connection = after::open;
  int stored = 0;
};

std::vector<clause> lines_and_fields() {
  return {
    {"9112 2.2: an empty line before a request is ignored", "\r\n" + get_good, 200},
    {"9112 2.2: a bare CR is no end of a line", get_live + "Host: t\rX: a\r\n\r\n", 400,
     after::closed},
    {"9112 2.2: no blank between request line and fields", get_live + " Host: t\r\n\r\n", 400,
     after::closed},
    {"9112 3: a request line that is none", "GET\r\n\r\n", 400, after::closed},
    {"9112 3: a blank in the target", "GET /health /live HTTP/1.1\r\nHost: t\r\n\r\n", 400,
     after::closed},
    {"9112 3: a target that is too long", "GET /" + std::string(20000, 'x') + " HTTP/1.1\r\n", 414,
     after::closed},
    {"9112 3.2: no Host", get_live + "\r\n", 400, after::closed},
    {"9112 3.2: two of them", get_live + "Host: t\r\nHost: t\r\n\r\n", 400, after::closed},
    {"9112 3.2: one that is none", get_live + "Host: a b\r\n\r\n", 400, after::closed},
    {"9112 3.2: an empty one", get_live + "Host:\r\n\r\n", 200},
    {"9112 3.2.2: the absolute form, whatever Host says",
     "GET http://a.example/health/live HTTP/1.1\r\nHost: b\r\n\r\n", 200},
    {"9112 3.2.3: CONNECT is not for an origin server",
     "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", 404, after::closed},
    {"9112 3.2.4: the asterisk form", "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", 200},
    {"9112 5.1: no blank before the colon", get_live + "Host: t\r\nX : a\r\n\r\n", 400,
     after::closed},
    {"9112 5.1: blanks around a value are no part of it", get_live + "Host:\t t \t\r\n\r\n", 200},
    {"9112 5.2: a folded line", get_live + "Host: t\r\nX: a\r\n b\r\n\r\n", 400, after::closed},
    {"9110 5.1: the case of a name is no matter", get_live + "hOsT: t\r\n\r\n", 200},
    {"9110 5.5: NUL in a value", get_live + std::string("Host: t\r\nX: a\0b\r\n\r\n", 19), 400,
     after::closed},
    {"9110 5.5: bytes beyond ASCII are opaque", get_live + "Host: t\r\nX: \xe9\xff\r\n\r\n", 200},
    {"9110 5.4: too many fields",
     get_live + "Host: t\r\nX: " + std::string(70000, 'x') + "\r\n\r\n", 431, after::closed},
  };
}

std::vector<clause> bodies() {
  return {
    {"9112 6.1: a transfer coding in HTTP/1.0",
     "POST /api/v1/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     after::closed},
    {"9112 6.1: a coding that is not understood",
     post_line + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, after::closed},
    {"9112 6.1: both lengths",
     post_line + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     after::closed},
    {"9112 6.1: chunked twice", post_line + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400,
     after::closed},
    {"9112 6.3: chunked is not the last coding",
     post_line + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400, after::closed},
    {"9112 6.3: no chunked at all", post_line + "Transfer-Encoding: gzip\r\n\r\n", 400,
     after::closed},
    {"9112 6.3: a length that is none", post_line + "Content-Length: 1x\r\n\r\n", 400,
     after::closed},
    {"9112 6.3: two lengths", post_line + "Content-Length: 15\r\nContent-Length: 16\r\n\r\n", 400,
     after::closed},
    {"9112 6.3: neither is a body of no bytes", post_line + "\r\n", 400},
    {"9110 8.6: a length beyond all numbers",
     post_line + "Content-Length: 99999999999999999999999\r\n\r\n", 400, after::closed},
    {"9110 15.5.14: a body that is too large", post_line + "Content-Length: 99999999999\r\n\r\n",
     413, after::closed},
    {"9112 6: a length", whole, 200, after::open, 1},
    {"9112 7.1: chunks of any size and case of digits",
     chunked + "2\r\n{\"\r\n00D\r\nfeature\":\"a\"}\r\n0\r\n\r\n", 200, after::open, 1},
    {"9112 7.1: a size that is too large for a number", chunked + "fffffffffffffffff\r\n", 400,
     after::closed},
    {"9112 7.1: a size that is none", chunked + "x\r\n", 400, after::closed},
    {"9112 7.1.1: extensions of chunks are ignored",
     chunked + "f;a=b;c=\"d;e\"\r\n" + event + "\r\n0;x\r\n\r\n", 200, after::open, 1},
    {"9112 7.1.2: trailers are read and not merged",
     chunked + "f\r\n" + event + "\r\n0\r\nContent-Type: text/csv\r\nX: a\r\n\r\n", 200,
     after::open, 1},
    {"9112 6.2: a body of GET is read and not taken for a request",
     get_live + "Host: t\r\nContent-Length: 15\r\n\r\nGET / HTTP/1.1\n", 200},
  };
}

std::vector<clause> semantics() {
  return {
    {"9110 9.1: an unknown method", "BREW / HTTP/1.1\r\nHost: t\r\n\r\n", 501, after::closed},
    {"9110 9.1: methods have a case", "get / HTTP/1.1\r\nHost: t\r\n\r\n", 501, after::closed},
    {"9110 15.5.6: a known method that is not allowed",
     "DELETE /api/v1/events HTTP/1.1\r\nHost: t\r\n\r\n", 405},
    {"9110 9.3.8: TRACE shows nobody's header", "TRACE / HTTP/1.1\r\nHost: t\r\n\r\n", 405},
    {"9110 15.5.5: nothing there", "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n", 404},
    {"9110 15.6.6: another major version", "GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505, after::closed},
    {"9110 2.5: a higher minor version is served", "GET / HTTP/1.2\r\nHost: t\r\n\r\n", 200},
    {"9110 7.8: Upgrade may be ignored",
     get_live + "Host: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 200, after::closed},
    {"9110 14.2: Range may be ignored", get_live + "Host: t\r\nRange: bytes=0-1\r\n\r\n", 200},
    {"9110 8.3: a type that is not taken",
     "POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\nx",
     415},
    {"9110 8.4: a coding that is not taken",
     post_line + "Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", 415},
    {"9110 10.1.1: another expectation is no reason to refuse",
     get_live + "Host: t\r\nExpect: nothing\r\n\r\n", 200},
  };
}

/// All that comes on a connection, until the other side ends it.
std::string all_of(const http_client& client) {
  std::string out;
  char block[4096];
  for (ssize_t got = 0; (got = ::recv(client.fd(), block, sizeof block, 0)) > 0;)
    out.append(block, static_cast<size_t>(got));
  return out;
}

std::string head_of(const std::string& answer) {
  return answer.substr(0, answer.find("\r\n\r\n") + 2);
}

} // namespace

TEST_CASE("RFC 9110 and 9112, clause by clause: the status, what becomes of the connection, Date") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  int64_t stored = 0;
  size_t rows = 0;
  for (const auto& table : {lines_and_fields(), bodies(), semantics()})
    for (const auto& [section, bytes, status, connection, events] : table) {
      CAPTURE(section);
      ++rows;
      stored += events;
      http_client client{service.port()};
      REQUIRE(client.send(bytes));
      auto answer = client.read(10s);
      CHECK(answer.status == status);
      CHECK_FALSE(answer.reset);
      CHECK(answer.headers.contains("content-length"));
      CHECK_FALSE(answer.headers.contains("transfer-encoding"));
      CHECK(answer.headers["date"].ends_with(" GMT")); // 9110 6.6.1
      CHECK(answer.headers["date"].size() == 29);
      CHECK(answer.headers.contains("allow") == (status == 405)); // 9110 15.5.6
      CHECK(answer.closes() == (connection == after::closed));
      if (connection == after::closed)
        CHECK(client.ended());
      else
        CHECK(client.get("/health/live").status == 200); // and nothing is left over
    }
  CHECK(rows == 50);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == stored);
}

TEST_CASE("RFC 9112 9.3, 9.6: what persists, and what is behind a close is not looked at") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  auto answers = [&](const std::string& bytes) {
    http_client client{service.port()};
    REQUIRE(client.send(bytes));
    ::shutdown(client.fd(), SHUT_WR);
    auto text = all_of(client);
    int count = 0;
    for (size_t at = 0; (at = text.find("HTTP/1.1 ", at)) != text.npos; ++at)
      ++count;
    return count;
  };
  const std::string closes = post_line + "Connection: close\r\nContent-Length: 15\r\n\r\n" + event;
  CHECK(answers(whole + whole + whole) == 3); // 9.3.2
  CHECK(answers(whole + closes + whole) == 2);
  CHECK(answers("GET /health/live HTTP/1.0\r\n\r\n" + whole) == 1);
  CHECK(answers("GET /health/live HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + whole) == 2);
  CHECK(answers(post_line + "Connection: CLOSE\r\nContent-Length: 15\r\n\r\n" + event + whole)
        == 1);
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 7);
}

TEST_CASE("RFC 9112 8: a message that ends too early stores nothing") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  for (const auto& cut :
       {post_line + "Content-Length: 16\r\n\r\n" + event, chunked + "f\r\n" + event + "\r\n",
        chunked + "f\r\n" + event, chunked + "f\r\n" + event + "\r\n0\r\n"}) {
    CAPTURE(cut);
    http_client client{service.port()};
    REQUIRE(client.send(cut));
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(client.ended(10s));
    CHECK(all_of(client).find("200 OK") == std::string::npos);
  }
  CHECK(post(service.port(), "/api/v1/events", event).status == 200); // an innocent
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 1);
}

TEST_CASE("RFC 9110 9.3.2: HEAD is GET without its content, wherever it is asked") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}}};
  auto ask = [&](const std::string& method, const std::string& target) {
    http_client client{service.port()};
    client.send(method + " " + target
                + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Request-Id: r\r\n\r\n");
    auto all = all_of(client);
    auto date = all.find("Date: ");
    return all.erase(date, all.find("\r\n", date) - date);
  };
  for (const auto* target :
       {"/", "/health", "/health/live", "/health/ready", "/health/startup", "/nowhere",
        "/api/v1/stats/summary", "/api/v1/stats/daily", "/api/v1/cluster"}) {
    CAPTURE(target);
    auto whole_answer = ask("GET", target);
    auto head = ask("HEAD", target);
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(head_of(head) == head_of(whole_answer));
    CHECK(whole_answer.size() > head.size());
  }
  CHECK(head_of(ask("HEAD", "/api/v1/events")).find("405 Method Not Allowed") != std::string::npos);
}

TEST_CASE("RFC 9110 8.6, 9.3.7: OPTIONS has a length of 0, and no answer is a 204 with a length") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_CORS_ALLOWED_ORIGINS", "https://a.example"}}};
  for (const auto* target : {"*", "/", "/health", "/api/v1/events", "/api/v1/stats/daily"})
    for (const auto* origin : {"", "Origin: https://a.example\r\n"}) {
      CAPTURE(target);
      http_client client{service.port()};
      client.send("OPTIONS " + std::string{target} + " HTTP/1.1\r\nHost: t\r\n" + origin + "\r\n");
      auto answer = client.read();
      CHECK(answer.status == 200);
      CHECK(answer.headers["content-length"] == "0");
    }
}

TEST_CASE("RFC 9110 10.1.1: 100 Continue comes first, and not at all before a refusal") {
  temp_dir dir;
  service_process service{
    dir.path(), {{"APP_STATS_TRACK_REQUESTS", "false"}, {"APP_AUTH_TOKEN", "S3cret-token"}}};
  const std::string waits = "Expect: 100-Continue\r\n";
  const std::string let_in = "Authorization: Bearer S3cret-token\r\n";
  struct {
    std::string head;
    int status;
  } const refused[] = {
    {post_line, 401},
    {"POST /nowhere HTTP/1.1\r\nHost: t\r\n" + let_in, 404},
    {"POST /health HTTP/1.1\r\nHost: t\r\n" + let_in, 405},
    {"POST /api/v1/events?a=b HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n" + let_in,
     422},
    {"POST /api/v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: a/b\r\n" + let_in, 415},
    {post_line + let_in + "Content-Encoding: br\r\n", 415},
  };
  for (const auto& [head, status] : refused)
    for (size_t cut : {size_t{0}, size_t{30}}) { // in one piece, and in two
      CAPTURE(head);
      http_client client{service.port()};
      auto bytes = head + waits + "X-Request-Id: mine\r\nContent-Length: 15\r\n\r\n";
      client.send(bytes.substr(0, cut));
      if (cut > 0)
        std::this_thread::sleep_for(50ms);
      client.send(bytes.substr(cut));
      auto all = all_of(client);
      CHECK(all.starts_with("HTTP/1.1 " + std::to_string(status) + " "));
      CHECK(all.find("\r\nX-Request-Id: mine\r\n") != all.npos);
      CHECK(all.find("\r\nDate: ") != all.npos);
      CHECK((all.find("\r\nWWW-Authenticate: Bearer\r\n") != all.npos) == (status == 401));
      CHECK((all.find("\r\nAllow: GET, HEAD, OPTIONS\r\n") != all.npos) == (status == 405));
    }
  http_client large{service.port()};
  large.send(post_line + let_in + waits + "Content-Length: 99999999999\r\n\r\n");
  CHECK(all_of(large).starts_with("HTTP/1.1 413 "));
  http_client taken{service.port()};
  taken.send(post_line + let_in + waits + "Content-Length: 15\r\n\r\n");
  REQUIRE(taken.begins_to_answer());
  char interim[64] = {};
  auto got = ::recv(taken.fd(), interim, sizeof interim, 0);
  CHECK(std::string(interim, static_cast<size_t>(got)) == "HTTP/1.1 100 Continue\r\n\r\n");
  taken.send(event);
  CHECK(taken.read().status == 200);
  http_client old{service.port()}; // HTTP/1.0 knows no interim answers
  old.send("POST /api/v1/events HTTP/1.0\r\nContent-Type: application/json\r\n" + let_in + waits
           + "Content-Length: 15\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  old.send(event);
  CHECK(all_of(old).starts_with("HTTP/1.1 200 OK\r\n"));
  http_client early{service.port()}; // the body did not wait
  early.send(post_line + let_in + waits + "Content-Length: 15\r\n\r\n" + event);
  CHECK(early.read().status == 200);
  http_client behind{service.port()}; // in one packet with a request before it
  behind.send(get_good + "HEAD /nowhere HTTP/1.1\r\nHost: t\r\n" + waits
              + "Content-Length: 15\r\n\r\n");
  auto both = all_of(behind);
  CHECK(both.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(both.find("\r\n\r\n{\"status\":\"ok\"}HTTP/1.1 404 Not Found\r\n") != both.npos);
  CHECK(both.ends_with("\r\n\r\n")); // to HEAD there is no body
  CHECK(service.stop().code == 0);
  CHECK(ask_database(service.database(), "SELECT count(*) FROM event") == 3);
}

TEST_CASE("RFC 9110 11.6.1: 401 says how to authenticate, and the scheme has no case") {
  temp_dir dir;
  service_process service{dir.path(), {{"APP_AUTH_TOKEN", "S3cret-token"}}};
  auto ask = [&](const std::string& header) {
    return get(service.port(), "/api/v1/stats/summary", header);
  };
  auto refused = ask("");
  CHECK(refused.status == 401);
  CHECK(refused.headers["www-authenticate"] == "Bearer");
  CHECK(ask("authorization: bEARER S3cret-token\r\n").status == 200);
  CHECK(ask("Authorization: Basic S3cret-token\r\n").status == 401);
}
