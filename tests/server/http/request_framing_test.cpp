#include "server/http/request_framing.hpp"
#include "tests/support/doctest.hpp"

#include <string>
#include <utility>
#include <vector>

using namespace phi;
using namespace phi::http;

namespace {

constexpr framing_limits framing{
  .uri_bytes = 100, .header_bytes = 400, .header_count = 5, .body_bytes = 50};

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
  struct {
    std::string text;
    error_code expected;
  } const rows[] = {
    {"GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: t\r\n\r\n", error_code::uri_too_long},
    {"GET / HTTP/1.1\r\nA: " + std::string(500, 'a') + "\r\n\r\n", error_code::header_too_large},
    {"GET / HTTP/1.1\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\n\r\n",
     error_code::header_too_large},
    {"POST / HTTP/1.1\r\nContent-Length: 51\r\n\r\n", error_code::body_too_large},
    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n"
       + std::string(51, 'a'),
     error_code::body_too_large},
    {"GET / HTTP/2.0\r\nHost: t\r\n\r\n", error_code::unsupported_version},
    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     error_code::unsupported_transfer_coding},
    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n", error_code::bad_http},
    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
     error_code::bad_http},
    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
     error_code::bad_http},
    {"nonsense\r\n\r\n", error_code::bad_http},
    {"GET / HTTP/1.1\r\nbad name: 1\r\n\r\n", error_code::bad_http},
  };
  for (const auto& row : rows)
    for (size_t step : {size_t{1}, size_t{7}, row.text.size()}) {
      CAPTURE(row.text);
      CHECK(feed(row.text, step).first == row.expected);
    }
}

TEST_CASE("framing: a method that nobody knows is told from nonsense") {
  const std::string good = "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
  for (const auto& before : {std::string{}, std::string{"\r\n"}, good}) {
    CHECK(feed(before + "BREW / HTTP/1.1\r\nHost: t\r\n\r\n", 1000).first
          == error_code::unknown_method);
    CHECK(feed(before + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1000).first
          == error_code::unsupported_version);
    for (const auto* nonsense : {"nonsense\r\n\r\n", "BREW /\r\n\r\n", "BREW / FTP/1.1\r\n\r\n",
                                 "B(EW / HTTP/1.1\r\n\r\n", "BREW / HTTP/1.1"})
      CHECK(feed(before + nonsense, 1000).first == error_code::bad_http);
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

TEST_CASE("framing: Expect is seen, however it is cut, and only where it is one") {
  auto asks = [](const std::string& head, size_t cut) {
    request_framing machine{framing};
    bool first = machine.feed(head.data(), cut).wants_continue;
    auto verdict = machine.feed(head.data() + cut, head.size() - cut);
    CHECK_FALSE(first);
    CHECK(verdict.error == error_code::none);
    CHECK((!verdict.wants_continue || verdict.head == head));
    return verdict.wants_continue;
  };
  const std::string end = "Content-Length: 2\r\n\r\n";
  const std::string start = "POST / HTTP/1.1\r\nHost: t\r\n";
  for (size_t cut = 1; cut < start.size() + 20; ++cut) {
    CAPTURE(cut);
    CHECK(asks(start + "eXpect: \t100-Continue \r\n" + end, cut));
    CHECK_FALSE(asks(start + "X-Expect: 100-continue\r\n" + end, cut));
    CHECK_FALSE(asks(start + "Expect: 100-continue2\r\n" + end, cut));
    CHECK_FALSE(asks("POST / HTTP/1.0\r\nA: bcdefg\r\nExpect: 100-continue\r\n" + end, cut));
  }
}

TEST_CASE("framing: Expect is seen in one piece, with blanks behind it, and behind a request") {
  auto inspect = [](const std::string& text) {
    request_framing machine{framing};
    return machine.feed(text.data(), text.size());
  };
  auto asks = [](const std::string& value) {
    return "POST / HTTP/1.1\r\nHost: t\r\nExpect: " + value + "\r\nContent-Length: 2\r\n\r\n";
  };
  for (const auto* value : {"100-continue", "100-continue ", "100-Continue \t "}) {
    CAPTURE(value);
    auto verdict = inspect(asks(value));
    CHECK(verdict.wants_continue);
    CHECK_FALSE(verdict.behind_another);
    CHECK(verdict.head == asks(value));
  }
  for (const auto* value : {"100-continue x", "100 -continue", "", " "}) {
    CAPTURE(value);
    CHECK_FALSE(inspect(asks(value)).wants_continue);
  }
  const std::string before = "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
  auto behind = inspect(before + asks("100-continue"));
  CHECK(behind.wants_continue);
  CHECK(behind.behind_another);
  CHECK(behind.head == asks("100-continue"));
  CHECK(behind.pass == before.size() + asks("100-continue").size());
  CHECK_FALSE(inspect(before + asks("100-continue") + "a").wants_continue); // it does not wait
  CHECK_FALSE(inspect(asks("100-continue") + "ab" + before).wants_continue);
}

TEST_CASE("framing: knows its stage, and sees Expect: 100-continue") {
  request_framing machine{framing};
  using stage = request_framing::stage;
  CHECK(machine.now() == stage::between);
  machine.feed("POST / HT", 9);
  CHECK(machine.now() == stage::header);
  std::string rest = "TP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  auto verdict = machine.feed(rest.data(), rest.size());
  CHECK(verdict.wants_continue);
  CHECK(verdict.head == "POST / HT" + rest); // however it was cut
  CHECK(machine.now() == stage::body);
  CHECK_FALSE(machine.feed("ab", 2).wants_continue);
  CHECK(machine.now() == stage::between);
}
