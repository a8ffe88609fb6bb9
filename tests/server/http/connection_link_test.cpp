// A connection of the public listener, on an io_context of its own that the test turns by hand.

#include "server/http/connection_link.hpp"
#include "tests/support/connected_link.hpp"
#include "tests/support/doctest.hpp"

using namespace phi;
using namespace phi::testing;

namespace {

/// A link as RESTinio drives it, and its client.
struct connected_pair : turned_loop, link_and_client {
  connected_pair() : link_and_client(static_cast<turned_loop&>(*this)) {}
};

} // namespace

TEST_CASE("connection: one that waits is ended; a request that came meanwhile is read first") {
  connected_pair pair;
  pair.begin_read();
  pair.turn();
  CHECK_FALSE(pair.read);
  CHECK(pair.link->idle());
  pair.link->end();
  pair.turn();
  REQUIRE(pair.read);
  CHECK(pair.read->first == asio_ns::error::eof);

  connected_pair late;
  late.begin_read();
  late.turn();
  late.send(get_request);
  late.link->end(); // the loop does not know yet what lies there
  late.turn();
  REQUIRE(late.read);
  CHECK_FALSE(late.read->first);
  CHECK(late.read->second == get_request.size());
  late.begin_read(); // it is not ended behind the request either: that is the answer's business
  late.turn();
  CHECK_FALSE(late.read);
}

TEST_CASE("connection: one that is cut is gone, whatever lies there") {
  connected_pair pair;
  pair.begin_read();
  pair.turn();
  pair.send(get_request);
  pair.link->cut();
  pair.turn();
  REQUIRE(pair.read);
  CHECK(pair.read->first == asio_ns::error::eof);
}

TEST_CASE("connection: who waits for a word before the body gets it, or the refusal and no more") {
  const std::string head =
    "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  for (bool refuses : {false, true}) {
    CAPTURE(refuses);
    connected_pair pair;
    std::string asked;
    pair.links.answer_early = [&](std::string_view lines, const http::connection_link&) {
      asked = lines;
      return refuses ? http::link_registry::early_answer{error_code::not_found, "no\r\n"}
                     : http::link_registry::early_answer{};
    };
    pair.begin_read();
    pair.send(head.substr(0, 20)); // in two pieces, the first of which goes on at once
    pair.turn();
    REQUIRE(pair.read);
    pair.begin_read();
    pair.send(head.substr(20));
    pair.turn();
    CHECK(asked == head);
    REQUIRE(pair.read);
    CHECK(pair.ended() == refuses);
    CHECK(pair.received() == (refuses ? "no\r\n" : "HTTP/1.1 100 Continue\r\n\r\n"));
  }
}

TEST_CASE("connection: who waits for a word behind another request gets it when that is answered") {
  const std::string head =
    "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  for (bool refuses : {false, true}) {
    CAPTURE(refuses);
    connected_pair pair;
    std::vector<std::string> asked;
    pair.links.answer_early = [&](std::string_view lines, const http::connection_link&) {
      asked.emplace_back(lines);
      return refuses ? http::link_registry::early_answer{error_code::not_found, "no\r\n"}
                     : http::link_registry::early_answer{};
    };
    pair.begin_read();
    pair.send(get_request + head);
    pair.turn();
    REQUIRE(pair.read);
    CHECK(pair.read->second == get_request.size() + head.size());
    CHECK(pair.received().empty());
    CHECK(asked.empty());
    pair.begin_read(); // the first one is answered
    pair.turn();
    CHECK(asked == std::vector{head});
    CHECK(pair.ended() == refuses);
    CHECK(pair.received() == (refuses ? "no\r\n" : "HTTP/1.1 100 Continue\r\n\r\n"));
    if (refuses)
      continue;
    pair.send("ab");
    pair.turn();
    CHECK(pair.read->second == 2);
    pair.begin_read();
    pair.turn();
    CHECK(asked.size() == 1);
  }
}

TEST_CASE("connection: links know what they do, and tell when they are gone") {
  connected_pair pair;
  int opened = 0;
  int changed = 0;
  pair.links.on_open = [&] { ++opened; };
  pair.links.on_change = [&] { ++changed; };
  pair.begin_read();
  pair.turn();
  CHECK(opened == 1);
  CHECK(pair.links.count() == 1);
  pair.send(get_request.substr(0, 10));
  pair.turn();
  CHECK(pair.link->receiving());
  CHECK_FALSE(pair.link->idle());
  REQUIRE(pair.read);
  pair.link.reset();
  CHECK(pair.links.count() == 0);
  CHECK(changed == 1);
}
