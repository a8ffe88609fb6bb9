// The lines of requests, one after the other. What is forbidden, however it is cut, is in
// request_framing_test; here are the edges, and what is remembered from one request to the next.

#include "server/http/strict_lines.hpp"
#include "tests/support/doctest.hpp"

#include <string>

using phi::http::strict_lines;

namespace {

const std::string get = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const std::string chunked = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";

bool takes(const std::string& bytes) {
  return strict_lines{}.feed(bytes);
}

} // namespace

TEST_CASE("strict lines: know where a request ends") {
  strict_lines lines;
  CHECK(lines.between());
  CHECK(lines.feed("G"));
  CHECK_FALSE(lines.between());
  CHECK(lines.feed(get.substr(1, get.size() - 2)));
  CHECK_FALSE(lines.between());
  CHECK(lines.feed("\n"));
  CHECK(lines.between());
  CHECK(lines.feed("\r\n")); // an empty line before a request is none
  CHECK(lines.between());
  CHECK(lines.feed("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nab"));
  CHECK_FALSE(lines.between());
  CHECK(lines.feed("c"));
  CHECK(lines.between());
  CHECK(lines.feed(get)); // has no body, whatever the last one had
  CHECK(lines.between());
  CHECK(lines.feed(chunked + "2\r\nab\r\n0\r\n"));
  CHECK_FALSE(lines.between()); // a trailer may follow
  CHECK(lines.feed("\r\n"));
  CHECK(lines.between());
}

TEST_CASE("strict lines: a body is not looked at, and its length is exact") {
  std::string post = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n";
  CHECK(takes(post + "\n\n" + get));
  CHECK_FALSE(takes(post + "\n\n\n" + get)); // the third is the next request's
  CHECK(takes("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551615\r\n\r\n"));
  CHECK_FALSE(takes("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551616\r\n\r\n"));
  CHECK(takes(chunked + "2\r\n\n\n\r\n0\r\n\r\n" + get));
  CHECK_FALSE(takes(chunked + "2\r\n\n\n\n0\r\n\r\n"));
  CHECK(takes(chunked + "ffffffffffffffff\r\n"));
  CHECK_FALSE(takes(chunked + "10000000000000000\r\n"));
}

TEST_CASE("strict lines: lines have a bound, those of chunks a lower one") {
  auto line_of = [](size_t bytes) { return "1;" + std::string(bytes - 3, 'x') + "\r"; };
  CHECK(takes(chunked + line_of(1024) + "\na\r\n0\r\n\r\n"));
  CHECK_FALSE(takes(chunked + line_of(1025) + "\n"));
  CHECK(takes(chunked + line_of(1024))); // also before its end has come
  CHECK_FALSE(takes(chunked + line_of(1025)));
  auto field_of = [](size_t bytes) {
    return "GET / HTTP/1.1\r\nHost: t\r\nX: " + std::string(bytes - 4, 'x') + "\r";
  };
  CHECK(takes(field_of(1 << 20) + "\n\r\n"));
  CHECK_FALSE(takes(field_of((1 << 20) + 1) + "\n"));
}

TEST_CASE("strict lines: Host is each request's own") {
  strict_lines lines;
  CHECK(lines.feed("GET / HTTP/1.1\r\nA: b\r\n\r\n"));
  CHECK(lines.lacks_host());
  CHECK(lines.feed(get));
  CHECK_FALSE(lines.lacks_host());
  CHECK(
    lines.feed("GET / HTTP/1.1\r\nX-Host: t\r\nhosts: t\r\n\r\n")); // names that only look alike
  CHECK(lines.lacks_host());
  CHECK(lines.feed("GET / HTTP/1.0\r\n\r\n"));
  CHECK_FALSE(lines.lacks_host());
  CHECK(lines.feed("GET / HTTP/1.1\r\nhOST:\r\n\r\n")); // an empty one is one
  CHECK_FALSE(lines.lacks_host());
  CHECK_FALSE(lines.feed("GET / HTTP/1.1\r\nHost: t\r\nHOST: t\r\n"));
}

TEST_CASE("strict lines: a return within a line is refused before the line has ended") {
  strict_lines lines;
  CHECK(lines.feed("GET / HTTP/1.1\r")); // its line feed may come
  CHECK_FALSE(lines.feed("X"));
}
