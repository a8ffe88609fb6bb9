// The head of a request whose body has not come.

#include "server/http/request_head.hpp"
#include "tests/support/doctest.hpp"

using namespace phi::http;

TEST_CASE("request head: line and fields are found, in any case, the first of a name counts") {
  auto [fields, id, forwarded_for] =
    read_head("\r\nPOST /api/v1/events?a=b HTTP/1.1\r\nHost: t\r\ncontent-TYPE: \t a/b \r\n"
              "Content-Type: c/d\r\nAuthorization:Bearer x\r\nORIGIN: o\r\nx-request-id: r\r\n"
              "ce-Id: 1\r\nContent-Encoding:\r\nX-Forwarded-For: 203.0.113.1\r\n"
              "x-forwarded-for: 10.0.0.7\r\n\r\n");
  CHECK(forwarded_for == "203.0.113.1,10.0.0.7");
  CHECK(fields.host == "t");
  CHECK(fields.method == "POST");
  CHECK(fields.target == "/api/v1/events?a=b");
  CHECK(fields.content_type == "a/b");
  CHECK(fields.authorization == "Bearer x");
  CHECK(fields.origin == "o");
  CHECK(fields.content_encoding.empty());
  CHECK(fields.body.empty());
  CHECK(fields.cloud.at(0).name == "Id");
  CHECK(fields.cloud.at(0).value == "1");
  CHECK(id == "r");
}
